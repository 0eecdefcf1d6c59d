"""Where sentences come from; importing this reads none of them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from lstmlab.data import Dataset, Download, File, OwnFiles
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from .pairs import Pair, Parallel

MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"


class ParallelText(Dataset):
    """Sentences in ``task.source`` with their translations in ``task.target``."""

    tasks = ("translation",)
    quantity = "sentences"
    languages: ClassVar[tuple[str, ...]] = ()  # that there are; any when empty

    def read(self) -> Parallel:
        """Return all pairs, in their splits or all under "train"."""
        raise NotImplementedError

    @cached_property
    def pairs(self) -> Parallel:
        """All pairs in their splits, read once.

        Raises:
            LstmlabError: when the data lack a language of the task's.
        """
        from .pairs import divided

        c = self.config
        known = self.languages
        if known and (c.source == c.target or not {c.source, c.target} <= set(known)):
            raise LstmlabError(
                f"task.source={c.source} task.target={c.target}: {c.dataset} has {' and '.join(known)}, in either order"
            )
        return divided(self.read(), c.validation, c.test)

    def load(self) -> dict[str, list[Pair]]:
        """Return a list of (source, target) for each split."""
        return self.pairs.splits

    def notes(self) -> list[str]:
        """Say what was skipped or left out."""
        return list(self.pairs.notes)


@dataset("spelt_numbers")
class SpeltNumbers(ParallelText):
    """Numbers up to 999,999 spelt out by num2words, in any two of its languages (generated)."""

    title = "Numbers spelt out in two languages (generated with num2words)"
    kind = "generated"
    licence = "none needed: generated from a seed; num2words itself is LGPL-2.1"
    source = "plugins/translation/numbers.py, with https://github.com/savoirfairelinux/num2words"
    citation = "none: generated here"
    size = "as many numbers as task.pairs says"

    def read(self) -> Parallel:
        """Return the numbers, each in one split."""
        from .numbers import spelt

        return spelt(self.config.pairs, self.config.largest, self.config.source, self.config.target)

    def content(self) -> bytes:
        """Return the pairs."""
        return json.dumps(self.load()).encode()


def _file(name: str, sha256: str, size: int) -> File:
    return File(name=name, sha256=sha256, size=size, urls=(f"{MULTI30K}/{name}",))


@dataset("multi30k")
class Multi30k(ParallelText, Download):
    """Multi30k: captions of pictures in English, translated into German (31,014 pairs and three test sets)."""

    title = "Multi30k, task 1: English captions of Flickr30k and their German translations, raw text"
    licence = "no licence file; the upstream README limits the images to non-commercial research and education"
    source = "https://github.com/multi30k/dataset"
    citation = (
        "Elliott, D., Frank, S., Sima'an, K. and Specia, L. (2016), Multi30K, VL, https://aclanthology.org/W16-3210"
    )
    size = "29,000 + 1,014 + 1,000 sentences (or 1,000 and 461 of other test sets)"
    languages = ("en", "de")
    files = (
        _file("train.en.gz", "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f", 568_929),
        _file("train.de.gz", "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6", 637_044),
        _file("val.en.gz", "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28", 21_650),
        _file("val.de.gz", "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a", 24_681),
        _file("test_2016_flickr.en.gz", "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9", 21_077),
        _file("test_2016_flickr.de.gz", "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8", 22_890),
        _file("test_2017_flickr.en.gz", "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074", 19_138),
        _file("test_2017_flickr.de.gz", "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee", 21_471),
        _file("test_2017_mscoco.en.gz", "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58", 8_844),
        _file("test_2017_mscoco.de.gz", "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338", 10_230),
    )

    def read(self) -> Parallel:
        """Return the official splits, with the test set that ``task.test_set`` names."""
        from .pairs import Parallel, read_parallel

        c, paths = self.config, self.paths()
        names = {"train": "train", "validation": "val", "test": c.test_set}
        parts = {
            split: read_parallel(paths[f"{name}.{c.source}.gz"], paths[f"{name}.{c.target}.gz"])
            for split, name in names.items()
        }
        return Parallel(
            {split: part.splits["train"] for split, part in parts.items()},
            [note for part in parts.values() for note in part.notes],
        )


@dataset("tatoeba")
class Tatoeba(ParallelText, Download):
    """Tatoeba: everyday English sentences and their German translations (169,813 pairs)."""

    title = "Tatoeba sentence pairs, English and German, as of manythings.org/anki on 2018-05-13"
    licence = "CC BY 2.0 (attribution: manythings.org/anki and tatoeba.org)"
    source = "https://www.manythings.org/anki (this state: https://github.com/rioyshky/translation)"
    citation = "Tatoeba Project, https://tatoeba.org; selected by Charles Kelly, https://www.manythings.org/anki"
    size = "169,813 pairs"
    languages = ("en", "de")
    files = (
        File(
            name="deu-eng.zip",
            sha256="b7688f84f99fa33c17397c14d8bd9cef1fdeb2ee0bf50074767023aee8926e28",
            size=4_012_023,
            urls=(
                "https://raw.githubusercontent.com/rioyshky/translation/"
                "de48b7027f7318d77010a6e08ed928c10748c23d/deu-eng.zip",
            ),
        ),
    )

    def read(self) -> Parallel:
        """Return all pairs; those of an English sentence are one group."""
        from zipfile import ZipFile

        from lstmlab.data.text_file import decode_lines

        from .pairs import Parallel, read_table

        with ZipFile(self.path("deu-eng.zip")) as archive:
            found = read_table(decode_lines(archive.read("deu.txt"), "deu.txt"), "deu.txt")
        pairs = found.splits["train"]
        return found if self.config.source == "en" else Parallel({"train": [(b, a) for a, b in pairs]}, found.notes)


@dataset("parallel_text")
class OwnText(ParallelText, OwnFiles):
    """The user's own pairs: a file of source<TAB>target lines, or a folder with train.en and train.de."""

    title = "Sentence pairs of the user"
    expected = "a file of source<TAB>target lines, or a folder with train.SOURCE and train.TARGET"
    size = "as many pairs as the files hold"

    def read(self) -> Parallel:
        """Return the pairs of the file or folder."""
        from lstmlab.data.text_file import read_lines

        from .pairs import read_folder, read_table

        if self.path.is_dir():
            return read_folder(self.path, self.config.source, self.config.target)
        return read_table(read_lines(self.path), self.path.name, self.config.columns)

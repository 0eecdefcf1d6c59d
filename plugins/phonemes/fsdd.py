"""Spoken digits; importing this reads none of them."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import TYPE_CHECKING

from lstmlab.data import Download, File
from lstmlab.registry import dataset

from .data import HERE, RAW, Speech

if TYPE_CHECKING:
    from .lexicon import Lexicon
    from .utterances import Utterance

FSDD_URL = f"{RAW}Jakobovski/free-spoken-digit-dataset/26eb9aaf76e81b692f806f9140c2d2777410d7a1/recordings/"
CMUDICT = File(
    "cmudict.dict",
    "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    3_618_488,
    (f"{RAW}cmusphinx/cmudict/0f8072f814306c5ee4fbf992ed853601b12c01f9/cmudict.dict",),
)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50  # recordings of each digit by each speaker
OFFICIAL_TEST, OUR_VALIDATION = 5, 10  # takes below the first are the official test split; we take as many again
HELD_OUT = {"theo": "validation", "yweweler": "test"}


@dataset("fsdd")
class SpokenDigits(Speech, Download):
    """The ten digits, 50 times by each of six speakers; phones from CMUdict."""

    title = "Free Spoken Digit Dataset, with the pronunciations of CMUdict"
    licence = "CC BY-SA 4.0 (recordings), BSD-2-Clause style (CMUdict)"
    source = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    size = "3,000 recordings, 22 minutes, 6 speakers"
    citation = "Jackson, Z. et al. (2018), Free Spoken Digit Dataset, v1.0.10, doi:10.5281/zenodo.1342401"

    @cached_property
    def files(self) -> tuple[File, ...]:  # type: ignore[override]
        """Three thousand recordings, whose hashes and sizes are kept beside this module, and CMUdict."""
        hashes, sizes = (HERE / "fsdd_sha256.bin").read_bytes(), array("H", (HERE / "fsdd_sizes.bin").read_bytes())
        known = enumerate(_recordings())
        return (CMUDICT, *(File(n, hashes[32 * i :][:32].hex(), sizes[i], (FSDD_URL + n,)) for i, n in known))

    def pronunciations(self) -> Lexicon:
        """Return how CMUdict says the ten digits."""
        from .lexicon import read_lexicon

        lexicon = read_lexicon(self.path(CMUDICT.name))
        return {digit: lexicon[digit] for digit in DIGITS}

    @cached_property
    def _read(self) -> tuple[dict[str, list[Utterance]], list[str]]:
        from lstmlab.data.audio import read_sound, remarked

        from .utterances import Utterance

        paths, said = self.paths(), self.pronunciations()
        splits: dict[str, list[Utterance]] = {"train": [], "validation": [], "test": []}
        remarks = {}
        for name in _recordings():
            digit, speaker, take = name.removesuffix(".wav").split("_")
            sound, remarks[name] = read_sound(paths[name], self.rate)
            word = DIGITS[int(digit)]
            splits[self._split(speaker, int(take))].append(
                Utterance(name, sound.samples, tuple(said[word][0]), speaker, word)
            )
        return splits, remarked(remarks)

    def _split(self, speaker: str, take: int) -> str:
        if self.config.hold_out == "speakers":
            return HELD_OUT.get(speaker, "train")
        return "test" if take < OFFICIAL_TEST else "validation" if take < OUR_VALIDATION else "train"

    def load(self) -> dict[str, list[Utterance]]:
        """Return recordings; with task.hold_out=utterances the official split by number, else one by speaker."""
        return self._read[0]

    def notes(self) -> list[str]:
        """Say what the splits are, and what reading did."""
        by_number = "Test is the official one (takes 0 to 4 of each digit and speaker), validation takes 5 to 9."
        by_speaker = "Four speakers are in train, theo in validation, yweweler in test."
        return [by_speaker if self.config.hold_out == "speakers" else by_number, *self._read[1]]


def _recordings() -> list[str]:
    """Return the names of the recordings in the order of their hashes."""
    return [f"{d}_{speaker}_{take}.wav" for d in range(10) for speaker in SPEAKERS for take in range(TAKES)]

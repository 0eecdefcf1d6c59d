"""Where speech comes from; importing this reads none of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lstmlab.data import Dataset, Download, File
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import numpy as np

    from .lexicon import Lexicon
    from .utterances import Utterance

HERE = Path(__file__).parent
RAW = "https://raw.githubusercontent.com/"
OCEAN_URL = f"{RAW}jimbozhang/speechocean762/613968e3b0b789fc33936fb5eba1973176ba7d11/"


class Speech(Dataset):
    """Utterances with their phones, in splits.

    Attributes:
        rate: samples of a second of the signals.
        brings: the kind of features that the file holds; "" where it holds sound.
    """

    tasks = ("phonemes",)
    quantity = "frames of speech"
    brings: ClassVar[str] = ""

    def load(self) -> dict[str, list[Utterance]]:
        """Return the utterances of each split."""
        raise NotImplementedError

    @property
    def rate(self) -> int:
        """Samples of a second: those of task.rate, to which recordings are brought."""
        return int(self.config.rate)

    def pronunciations(self) -> Lexicon:
        """Return how words are said, where utterances are words; empty without a lexicon."""
        return {}

    def sound(self, utterance: Utterance) -> np.ndarray | None:
        """Return the samples of an utterance, to listen to; None where there are only features."""
        return utterance.signal


@dataset("phone_strings")
class PhoneStrings(Speech):
    """Strings of phones from a formant synthesiser in 16 voices, with noise (generated)."""

    title = "Strings of phones, spoken by a formant synthesiser (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "plugins/phonemes/strings.py"
    size = "as many as task.utterances says"
    citation = "none: generated here, with a synthesiser after Klatt (1980), J. Acoust. Soc. Am. 67:971"

    def load(self) -> dict[str, list[Utterance]]:
        """Return utterances; voices are held out."""
        from .strings import phone_strings
        from .utterances import hold_out

        c = self.config
        return hold_out(phone_strings(c.utterances, self.rate), c.validation, c.test, c.hold_out == "speakers")

    def content(self) -> bytes:
        """Return a few utterances' bytes: they change when the way of drawing does."""
        from .strings import phone_strings

        few = phone_strings(16, self.rate)
        return str((self.config.utterances, self.rate)).encode() + b"".join(u.signal.tobytes() for u in few)

    def notes(self) -> list[str]:
        """Say that nobody speaks."""
        return ["The speech is generated: phones in random order from a formant synthesiser, in 16 voices, with noise."]


@dataset("speechocean762")
class SpeechOcean(Speech, Download):
    """English read by adults whose first language is Mandarin: MFCC, and phones as a dictionary has them."""

    title = "speechocean762, adult speakers: 13 MFCC a frame"
    licence = "free for commercial and non-commercial use (README); Apache-2.0 on the authors' Hugging Face card"
    source = "https://www.openslr.org/101"
    size = "1,340 + 1,220 utterances, 3.1 hours, 128 speakers"
    citation = "Zhang, J. et al. (2021), speechocean762: An Open-Source Non-native English Speech Corpus, Interspeech"
    brings = "mfcc"
    files = (
        File(
            "speechocean762_adult_mfcc13_f16.npz",
            "88a47021b4a5d9e4037639ffef643c09c707cdd724ee4aa36a860b5c4e03a898",
            27_366_545,
        ),
    )

    @property
    def rate(self) -> int:
        """Samples of a second of the recordings that the features are of."""
        if self.config.rate != 16_000:
            raise LstmlabError(f"task.rate={self.config.rate}: the recordings have 16000; set task.rate=16000")
        return 16_000

    def load(self) -> dict[str, list[Utterance]]:
        """Return features; the official test split, and speakers of the train split held out for validation."""
        import numpy as np

        from .utterances import Utterance, hold_out

        found: dict[str, list[Utterance]] = {}
        with np.load(self.path(self.files[0].name), allow_pickle=False) as file:
            for split in ("train", "test"):
                frames, counts = (np.cumsum(file[f"{split}_{part}"])[:-1] for part in ("frames", "nphones"))
                features = np.split(file[f"{split}_mfcc"].astype(np.float32), frames)
                phones = np.split(file["phone_names"][file[f"{split}_phones"]], counts)
                names, speakers = file[f"{split}_utt"], file[f"{split}_spk"]
                found[split] = [
                    Utterance(str(name), f, tuple(map(str, p)), str(speaker))
                    for name, f, p, speaker in zip(names, features, phones, speakers, strict=True)
                ]
        return hold_out(found["train"], self.config.validation, 0, by_speaker=True) | {"test": found["test"]}

    @cached_property
    def _waves(self) -> dict[str, File]:
        """The recordings of 61 test utterances, by utterance: where they are at hand, a report plays them."""
        rows = [line.split() for line in (HERE / "speechocean762_waves.txt").read_text().splitlines()]
        return {Path(name).stem: File(name, sha256, int(size), (OCEAN_URL + name,)) for name, size, sha256 in rows}

    def sound(self, utterance: Utterance) -> np.ndarray | None:
        """Return the samples of a test utterance whose recording is on this machine; nothing is fetched for that."""
        from lstmlab.data.audio import read_sound
        from lstmlab.data.fetch import find

        wave = self._waves.get(utterance.name)
        path = find(wave) if wave else None
        return read_sound(path, self.rate)[0].samples if path else None

    def notes(self) -> list[str]:
        """Say what the phones are, and what is not there."""
        return [
            "Phones are those of a pronouncing dictionary, not what the speakers, learners of English, really said.",
            "Children are left out. Validation speakers are held out of the official train split.",
        ]

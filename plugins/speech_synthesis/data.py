"""Where speech comes from; importing this reads none of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lstmlab.data import Dataset, Download, OwnFiles
from lstmlab.registry import dataset

from .ljspeech_files import FILES

if TYPE_CHECKING:
    from .utterances import Corpus, Utterance


class Speech(Dataset):
    """Utterances with the phones that are spoken in them."""

    tasks = ("speech_synthesis",)
    quantity = "power in mel bands (dB)"

    def read(self) -> Corpus:
        """Return all utterances."""
        raise NotImplementedError

    @cached_property
    def corpus(self) -> Corpus:
        """All utterances, read once."""
        return self.read()

    @cached_property
    def members(self) -> tuple[dict[str, list[Utterance]], int]:
        """The utterances of each split, and how many were there twice."""
        from .utterances import divide

        return divide(self.corpus.utterances, self.config.validation, self.config.test)

    def load(self) -> dict[str, list[Utterance]]:
        """Return the utterances of each split."""
        return self.members[0]

    def notes(self) -> list[str]:
        """Say what was left out or changed."""
        repeated = self.members[1]
        told = [f"{repeated} utterances that occur again were counted once."] if repeated else []
        return [*self.corpus.notes, *told]


@dataset("formants")
class Formants(Speech):
    """Babbled syllables of a formant synthesiser, in four voices (generated)."""

    size = "as many utterances as task.utterances says"
    title = "Babbled syllables of a formant synthesiser (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "lstmlab/data/formants.py, plugins/speech_synthesis/babble.py"
    citation = (
        "none: generated here, after Klatt, D. (1980), Software for a cascade/parallel formant synthesizer, J. Acoust. "
        "Soc. Am. 67:971, and Peterson, G. and Barney, H. (1952), Control methods used in a study of the vowels, J. "
        "Acoust. Soc. Am. 24:175"
    )

    def read(self) -> Corpus:
        """Return ``task.utterances`` utterances."""
        from .babble import corpus

        return corpus(self.config.utterances, self.config.rate)

    def content(self) -> bytes:
        """Return what is said, and the sound of the first utterance."""
        from .babble import recipes, spoken

        said = recipes(self.config.utterances)
        return repr(said).encode() + spoken(said[0], self.config.rate, 0).tobytes()


@dataset("ljspeech_mini")
class LJSpeechMini(Speech, Download):
    """32 clips of LJSpeech, read by one woman, with phone alignments (222 s)."""

    size = "32 utterances, 221.7 s at 22.05 kHz; 26 + 3 + 3 with task.validation=0.1 and task.test=0.1"
    title = "LJSpeech, clips LJ001-0001 to LJ001-0032, with phones from the Montreal Forced Aligner"
    licence = "sounds: public domain; alignments: MIT"
    source = "https://keithito.com/LJ-Speech-Dataset; alignments of https://github.com/ming024/FastSpeech2"
    citation = "Ito, K. and Johnson, L. (2017), The LJ Speech Dataset, https://keithito.com/LJ-Speech-Dataset"
    files = FILES

    def read(self) -> Corpus:
        """Return the utterances."""
        from .ljspeech import read_pairs

        found = self.paths()
        names = sorted(name.removesuffix(".wav") for name in found if name.endswith(".wav"))
        files = [(name, found[f"{name}.wav"], found[f"{name}.TextGrid"]) for name in names]
        return read_pairs(files, self.config.rate, self.config.stress)


@dataset("ljspeech")
class LJSpeech(Speech, OwnFiles):
    """The user's own speech in the layout of LJSpeech, with TextGrids."""

    title = "Speech of the user, in the layout of LJSpeech"
    expected = "a folder with metadata.csv, wavs/ID.wav and TextGrid/ID.TextGrid (or alignments/ID.TextGrid)"
    suffixes = (".csv", ".wav", ".flac", ".textgrid")

    def read(self) -> Corpus:
        """Return the utterances."""
        from .ljspeech import read_folder

        return read_folder(self.path, self.config.rate, self.config.stress)

"""The user's own recordings: a folder with transcripts, and TIMIT."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lstmlab.data import OwnFiles
from lstmlab.registry import dataset

from .data import Speech

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lexicon import Lexicon
    from .utterances import Utterance

SOUNDS = (".wav", ".flac")
SPLITS = ("train", "validation", "test")
NAMED = 5  # files that an error names

# Lee and Hon (1989), Speaker-independent phone recognition using hidden Markov models, IEEE TASSP 37(11), table I.
FOLDED = {
    "aa": "aa ao", "ah": "ah ax ax-h", "er": "er axr", "hh": "hh hv", "ih": "ih ix", "l": "l el", "m": "m em",
    "n": "n en nx", "ng": "ng eng", "sh": "sh zh", "uw": "uw ux", "sil": "pcl tcl kcl bcl dcl gcl h# pau epi",
}  # fmt: skip
KEPT = "iy eh ae ey aw ay oy ow uh y w r v f dh th z s jh ch b p d dx t g k"
FOLD = {old: new for new, olds in FOLDED.items() for old in olds.split()} | {same: same for same in KEPT.split()}
GLOTTAL_STOP = "q"  # left out, as they do
CORE = (
    "mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0 "
    "mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0"
)  # speakers of the core test set


class OwnSpeech(Speech, OwnFiles):
    """Recordings below a folder, read once."""

    @cached_property
    def _read(self) -> tuple[dict[str, list[Utterance]], list[str]]:
        return self.read(self.path)

    def read(self, folder: Path) -> tuple[dict[str, list[Utterance]], list[str]]:
        """Return the utterances of each split, and notes."""
        raise NotImplementedError

    def load(self) -> dict[str, list[Utterance]]:
        """Return the utterances of each split."""
        return self._read[0]

    def notes(self) -> list[str]:
        """Say how utterances were held out, and what reading did."""
        return self._read[1]


@dataset("speech_folder")
class SpeechFolder(OwnSpeech):
    """The user's own folder: x.wav with x.txt beside it, which holds phones, or words of task.lexicon."""

    title = "Recordings of the user, with transcripts"
    expected = "a folder with recordings (x.wav or x.flac) and, beside each, its transcript (x.txt)"
    suffixes = (*SOUNDS, ".txt")

    def pronunciations(self) -> Lexicon:
        """Return the lexicon that task.lexicon names."""
        return self._lexicon

    @cached_property
    def _lexicon(self) -> Lexicon:
        from .lexicon import read_lexicon

        given = self.config.lexicon
        return read_lexicon(Path(given).expanduser(), self.config.phone_set) if given else {}

    def read(self, folder: Path) -> tuple[dict[str, list[Utterance]], list[str]]:
        """Return the utterances: in the splits of folders called train, validation and test, or drawn."""
        from lstmlab.data.audio import read_sound, remarked

        from .utterances import Utterance

        utterances, remarks = [], {}
        for sound_file, transcript in _pairs(folder, self.expected):
            name = str(sound_file.relative_to(folder))
            phones, text = self._transcript(transcript, str(transcript.relative_to(folder)))
            sound, remarks[name] = read_sound(sound_file, self.rate)
            utterances.append(Utterance(name, sound.samples, phones, sound_file.parent.name, text))
        splits, how = self._divide(folder, utterances)
        return splits, [how, *remarked(remarks)]

    def _transcript(self, file: Path, name: str) -> tuple[tuple[str, ...], str]:
        from lstmlab.data.text_file import read_lines

        from .lexicon import spell, words_of
        from .utterances import SpeechError, arpabet

        phones: list[str] = []
        text: list[str] = []
        for number, line in enumerate(read_lines(file), 1):
            where = f"{name}, line {number}"
            if self._lexicon:
                text += words_of(line)
                phones += spell(words_of(line), self._lexicon, where)
            else:
                phones += arpabet(line.split(), where) if self.config.phone_set == "arpabet" else line.split()
        if not phones:
            raise SpeechError(f"{name} is empty; expected {'words' if self._lexicon else 'phones'} of its recording")
        return tuple(phones), " ".join(text)

    def _divide(self, folder: Path, utterances: Sequence[Utterance]) -> tuple[dict[str, list[Utterance]], str]:
        from .utterances import SpeechError, hold_out

        c, tops = self.config, [Path(u.name).parts[0].lower() for u in utterances]
        if {"train", "test"} <= {*tops}:
            if odd := sorted({*tops} - {*SPLITS}):
                raise SpeechError(
                    f"{folder}: beside train and test there is {odd[0]}; expected train, validation, test alone"
                )
            found = {s: [u for u, top in zip(utterances, tops, strict=True) if top == s] for s in SPLITS}
            if found["validation"]:
                return found, "Splits are those of the folders train, validation and test."
            drawn = hold_out(found["train"], c.validation, 0, by_speaker=False)
            return drawn | {"test": found["test"]}, "Test is the folder of that name; validation is drawn from train."
        by_speaker = c.hold_out == "speakers" and len({u.speaker for u in utterances}) > 1
        splits = hold_out(utterances, c.validation, c.test, by_speaker)
        if by_speaker:
            return splits, "Folders are taken for speakers; validation and test have speakers of their own."
        return splits, "Validation and test are utterances drawn from all; their speakers may be in train too."


@dataset("timit")
class Timit(OwnSpeech):
    """TIMIT as the Linguistic Data Consortium sells it: TRAIN and TEST with DR1/FCJF0/SX37.WAV and .PHN."""

    title = "TIMIT acoustic-phonetic continuous speech, 61 phones folded to 39"
    licence = "LDC user agreement: the user's own copy"
    source = "https://catalog.ldc.upenn.edu/LDC93S1"
    citation = "Garofolo, J. et al. (1993), TIMIT Acoustic-Phonetic Continuous Speech Corpus, LDC93S1"
    expected = "the folder that holds TIMIT's TRAIN and TEST"
    suffixes = (".wav", ".phn")

    def read(self, folder: Path) -> tuple[dict[str, list[Utterance]], list[str]]:
        """Return the utterances without the SA sentences, which all speakers read."""
        from lstmlab.data.audio import read_sound, remarked

        from .utterances import SpeechError, Utterance, hold_out

        parts = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
        if not {"train", "test"} <= {*parts}:
            raise SpeechError(f"{folder} has no TRAIN and TEST; expected {self.expected}")
        found: dict[str, list[Utterance]] = {"train": [], "test": []}
        remarks, skipped = {}, 0
        for split, utterances in found.items():
            for sound_file in (f for f in sorted(parts[split].rglob("*")) if f.suffix.lower() == ".wav"):
                if sound_file.stem.lower().startswith("sa"):
                    skipped += 1
                    continue
                name = str(sound_file.relative_to(folder))
                sound, remarks[name] = read_sound(sound_file, self.rate)
                phones, speaker = timit_phones(sound_file), sound_file.parent.name.lower()
                utterances.append(Utterance(name, sound.samples, phones, speaker))
        core = [u for u in found["test"] if u.speaker in CORE.split()]
        complete = {u.speaker for u in core} == {*CORE.split()}
        splits = hold_out(found["train"], self.config.validation, 0, by_speaker=True)
        splits["test"] = core if complete else found["test"]
        which = "the core test set of 24 speakers" if complete else "all of TEST, for core speakers are missing"
        return splits, [
            f"Test is {which}; validation are speakers of TRAIN. {skipped} SA sentences were left out.",
            "61 phones are folded to 39 as Lee and Hon (1989) have it; closures and pauses side by side are one sil.",
            *remarked(remarks),
        ]


def timit_phones(sound_file: Path) -> tuple[str, ...]:
    """Return the folded phones of the .PHN file beside a recording: ``start end phone`` a line.

    Raises:
        SpeechError: when it is missing, or a line is none of its kind.
    """
    from lstmlab.data.text_file import read_lines

    from .utterances import SpeechError

    beside = [f for f in sound_file.parent.glob(f"{sound_file.stem}.*") if f.suffix.lower() == ".phn"]
    if not beside:
        raise SpeechError(f"{sound_file} has no .PHN beside it; expected its phones, `start end phone` a line")
    phones: list[str] = []
    for number, line in enumerate(read_lines(beside[0]), 1):
        parts = line.split()
        if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
            raise SpeechError(f"{beside[0]}, line {number}: {line!r}; expected `start end phone`, as in `0 3050 h#`")
        if parts[2] == GLOTTAL_STOP:
            continue
        if parts[2] not in FOLD:
            raise SpeechError(f"{beside[0]}, line {number}: {parts[2]!r} is none of TIMIT's 61 phones")
        phone = FOLD[parts[2]]
        if phone != "sil" or phones[-1:] != ["sil"]:
            phones.append(phone)
    return tuple(phones)


def _pairs(folder: Path, expected: str) -> list[tuple[Path, Path]]:
    """Return recordings with their transcripts; each must have the other."""
    from .utterances import SpeechError

    if not folder.is_dir():
        raise SpeechError(f"{folder} is a file; expected {expected}")
    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    sounds: dict[Path, Path] = {}
    for file in (f for f in files if f.suffix.lower() in SOUNDS):
        stem = file.with_suffix("")
        if stem in sounds:
            raise SpeechError(f"{file.name} and {sounds[stem].name} are two recordings with one transcript; keep one")
        sounds[stem] = file
    texts = {f.with_suffix(""): f for f in files if f.suffix.lower() == ".txt"}
    _refuse(folder, sounds, texts, "recordings have no transcript (.txt)", expected)
    _refuse(folder, texts, sounds, "transcripts have no recording (.wav or .flac)", expected)
    if not sounds:
        raise SpeechError(f"{folder} holds no recording; expected {expected}")
    return [(file, texts[stem]) for stem, file in sounds.items()]


def _refuse(folder: Path, ours: dict[Path, Path], theirs: dict[Path, Path], what: str, expected: str) -> None:
    from .utterances import SpeechError

    alone = [str(file.relative_to(folder)) for stem, file in ours.items() if stem not in theirs]
    if alone:
        more = ", ..." if len(alone) > NAMED else ""
        raise SpeechError(f"{folder}: {len(alone)} {what}: {', '.join(alone[:NAMED])}{more}. Expected {expected}")

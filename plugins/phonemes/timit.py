"""TIMIT, for those who own it; importing this reads none of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lstmlab.registry import dataset

from .own import OwnSpeech

if TYPE_CHECKING:
    from .utterances import Utterance

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

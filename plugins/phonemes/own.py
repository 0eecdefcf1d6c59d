"""The user's own recordings: a folder with transcripts; importing this reads none of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lstmlab.data import SPLITS, OwnFiles
from lstmlab.registry import dataset

from .data import Speech

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lexicon import Lexicon
    from .utterances import Utterance

SOUNDS = (".wav", ".flac")
NAMED = 5  # files that an error names


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

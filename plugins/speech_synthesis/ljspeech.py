"""Speech in the layout of LJSpeech: sounds, their phones in TextGrids, and a table of what is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lstmlab.data.audio import read_sound, remarked
from lstmlab.data.text_file import read_lines

from .phones import SILENCE, tidy
from .textgrid import read_textgrid
from .utterances import Corpus, CorpusError, Utterance

APART = 0.05  # seconds by which the ends of a sound and of its TextGrid may differ
VOICE = "reader"  # one voice is assumed
NAMED = 3  # things that a note names


def read_folder(folder: Path, rate: int, stress: bool) -> Corpus:
    """Return the utterances of a folder: metadata.csv, wavs/ID.wav, and TextGrid/ or alignments/ with ID.TextGrid.

    Rows without a sound, sounds without a row and rows without a TextGrid are left out and counted.

    Raises:
        LstmlabError: with file and line, when something that is there cannot be used, or nothing can.
    """
    table = folder / "metadata.csv"
    if not folder.is_dir() or not table.is_file():
        raise CorpusError(
            f"{folder} has no metadata.csv; expected a folder in the layout of LJSpeech: metadata.csv with lines "
            "ID|TEXT or ID|TEXT|NORMALISED TEXT, wavs/ID.wav, and TextGrid/ID.TextGrid or alignments/ID.TextGrid"
        )
    rows = read_metadata(table)
    sounds = {f.stem: f for f in (folder / "wavs").rglob("*") if f.suffix.lower() in (".wav", ".flac")}
    grids = {f.stem: f for kind in ("TextGrid", "alignments") for f in sorted((folder / kind).rglob("*.TextGrid"))}
    usable = [name for name in rows if name in sounds and name in grids]
    notes = [
        *_left_out(
            (f"line {rows[n]}" for n in rows if n not in sounds), "rows of metadata.csv without a sound in wavs/"
        ),
        *_left_out(
            (f.name for n, f in sorted(sounds.items()) if n not in rows), "sounds without a row in metadata.csv"
        ),
        *_left_out((n for n in rows if n in sounds and n not in grids), "utterances without a TextGrid"),
        *_left_out((f.name for n, f in sorted(grids.items()) if n not in rows), "TextGrids without a row"),
    ]
    if not usable:
        raise CorpusError(f"{folder}: no row of metadata.csv has both a sound and a TextGrid. {' '.join(notes)}")
    return read_pairs([(name, sounds[name], grids[name]) for name in usable], rate, stress, notes)


def read_metadata(path: Path) -> dict[str, int]:
    """Return the ids of a metadata.csv in their order, with their lines.

    Raises:
        CorpusError: with the line, when one is not ``ID|TEXT`` or ``ID|TEXT|NORMALISED TEXT``, or an id stands twice.
    """
    found: dict[str, int] = {}
    for at, line in enumerate(read_lines(path), 1):
        fields = line.split("|")
        name = fields[0].strip()
        if len(fields) not in (2, 3) or not name or "/" in name:
            raise CorpusError(
                f"{path.name}, line {at}: {line[:60]!r}; expected ID|TEXT or ID|TEXT|NORMALISED TEXT, where ID.wav is "
                "a file in wavs/"
            )
        if name in found:
            raise CorpusError(f"{path.name}, line {at}: {name} stands in line {found[name]} already; give each id once")
        found[name] = at
    return found


def read_pairs(files: Iterable[tuple[str, Path, Path]], rate: int, stress: bool, notes: Iterable[str] = ()) -> Corpus:
    """Return utterances from (name, sound, TextGrid), at one rate.

    Raises:
        LstmlabError: with the file, when a sound or a TextGrid cannot be used or the two do not belong together.
    """
    said, remarks = list[Utterance](), dict[str, list[str]]()
    for name, sound_file, grid in files:
        sound, remarks[sound_file.name] = read_sound(sound_file, rate)
        phones, seconds, end = read_textgrid(grid)
        if abs(end - sound.seconds) > APART:
            raise CorpusError(
                f"{grid.name} ends at {end:.3f} s, its sound {sound_file.name} at {sound.seconds:.3f} s; "
                f"expected at most {APART} s between them: align this recording again"
            )
        names, lasting = tidy(phones, seconds, stress)
        if set(names) == {SILENCE}:
            raise CorpusError(f"{grid.name}: all {len(phones)} intervals are silence; expected phones")
        lasting[-1] = max(lasting[-1] + sound.seconds - end, 1e-3)
        said.append(Utterance(name, tuple(names), tuple(lasting), VOICE, sound.samples))
    return Corpus(said, (*notes, *remarked(remarks)))


def _left_out(names: Iterable[str], what: str) -> list[str]:
    found = list(names)
    if not found:
        return []
    return [f"Left out: {len(found)} {what} ({', '.join(found[:NAMED])}{', ...' if len(found) > NAMED else ''})."]

"""MIDI files to piano rolls and back, on a grid of beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lstmlab.errors import LstmlabError, some

from .pieces import KEYS, LOWEST, BadPieceError, Pieces, collect, files_below

DRUMS = 9  # the channel of percussion in General MIDI, counted from 0
OFF_GRID = 0.1  # frames by which an onset may miss the grid without being counted as moved
LONGEST = 200_000  # frames; more means a damaged file or a wrong grid
TICKS = 480  # of a beat, in files that are written
VELOCITY = 72


def _mido() -> Any:
    try:
        import mido
    except ImportError:
        raise LstmlabError("MIDI files need mido: pip install 'lstmlab[music]'") from None
    return mido


@dataclass
class Counts:
    """What reading MIDI files changed: names of files, and numbers of notes."""

    notes: int = 0
    moved: int = 0
    outside: int = 0
    drums: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    tempi: list[str] = field(default_factory=list)
    trimmed: list[str] = field(default_factory=list)

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each thing that happened."""
        share = self.moved / max(self.notes, 1)
        told = {
            f"{self.moved} of {self.notes} notes ({share:.1%}) began off the grid and were moved to it.": self.moved,
            f"{self.outside} notes outside of the piano's 88 keys were left out.": self.outside,
            f"Percussion was left out in {len(self.drums)} files: {some(self.drums)}.": self.drums,
            f"Notes that never end were ended with their track in {len(self.unended)} files: "
            f"{some(self.unended)}.": self.unended,
            f"{len(self.tempi)} files change their tempo; the grid follows the beats: {some(self.tempi)}.": self.tempi,
            f"Silence before the first note was cut in {len(self.trimmed)} files: {some(self.trimmed)}.": self.trimmed,
        }
        return tuple(sentence for sentence, happened in told.items() if happened)


def read_midi(path: Path, frames_per_beat: int) -> Pieces:
    """Read a MIDI file, or all of a folder, as piano rolls.

    All tracks and channels but percussion sound together. Onsets and ends move to the nearest frame; a note
    lasts one frame at least. Time is counted in beats, so a change of tempo changes nothing.

    Args:
        path: ends in .mid or .midi, or is a folder.
        frames_per_beat: frames of a quarter note; 2 are eighths.

    Raises:
        BadPieceError: for a file that is damaged or has no beats, and when no file has a note.
    """
    counts = Counts()
    found: list[tuple[str, Any, str | None]] = []
    for file in files_below(path, (".mid", ".midi")):
        name = file.name if path.is_file() else str(file.relative_to(path))
        found.append((name, _read(file, name, frames_per_beat, counts), None))
    return collect(found, path, counts.sentences())


def _read(file: Path, name: str, frames_per_beat: int, counts: Counts) -> np.ndarray:
    mido = _mido()
    try:
        midi = mido.MidiFile(file, clip=True)
    except Exception as error:  # mido raises many kinds on damaged files
        raise BadPieceError(f"{file} cannot be read as MIDI: {type(error).__name__} {error}") from None
    if midi.type == 2:
        raise BadPieceError(f"{file}: its tracks are independent (MIDI format 2); expected format 0 or 1")
    if not 0 < midi.ticks_per_beat < 0x8000:
        raise BadPieceError(f"{file}: it counts time in seconds (SMPTE), not in beats; export it with beats")
    spans: list[tuple[int, int, int]] = []
    unended = drums = False
    tempi = set()
    for track in midi.tracks:
        for kind, value in _events(track):
            if kind == "note":
                spans.append(value)
            tempi |= {value} if kind == "tempo" else set()
            unended |= kind == "unended"
            drums |= kind == "drums"
    for happened, files in ((len(tempi) > 1, counts.tempi), (unended, counts.unended), (drums, counts.drums)):
        if happened:
            files.append(name)
    return _roll(spans, frames_per_beat / midi.ticks_per_beat, file, name, counts)


def _events(track: Any) -> Iterator[tuple[str, Any]]:
    """Yield ("note", (start tick, end tick, pitch)), and what else a reader should know."""
    now, sounding = 0, dict[tuple[int, int], list[int]]()
    for message in track:
        now += message.time
        if message.type == "set_tempo":
            yield "tempo", message.tempo
        if message.type not in ("note_on", "note_off"):
            continue
        if message.channel == DRUMS:
            yield "drums", None
            continue
        begun = sounding.setdefault((message.channel, message.note), [])
        if message.type == "note_on" and message.velocity:
            begun.append(now)
        elif begun:
            yield "note", (begun.pop(0), now, message.note)
    for (_, pitch), begun in sounding.items():
        for start in begun:
            yield "unended", None
            yield "note", (start, now, pitch)


def _roll(
    spans: list[tuple[int, int, int]], frames_per_tick: float, file: Path, name: str, counts: Counts
) -> np.ndarray:
    inside = [s for s in spans if LOWEST <= s[2] < LOWEST + KEYS]
    counts.notes += len(inside)
    counts.outside += len(spans) - len(inside)
    if not inside:
        return np.zeros((0, KEYS), bool)
    ticks = np.array(inside)
    exact = ticks[:, 0] * frames_per_tick
    starts = np.floor(exact + 0.5).astype(int)
    ends = np.maximum(np.floor(ticks[:, 1] * frames_per_tick + 0.5).astype(int), starts + 1)
    counts.moved += int((np.abs(exact - starts) > OFF_GRID).sum())
    first = int(starts.min())
    if first:
        counts.trimmed.append(name)
    if ends.max() - first > LONGEST:
        raise BadPieceError(f"{file}: {ends.max() - first:,} frames; at most {LONGEST:,} are read. Is it damaged?")
    roll = np.zeros((ends.max() - first, KEYS), bool)
    for start, end, pitch in zip(starts - first, ends - first, ticks[:, 2] - LOWEST, strict=True):
        roll[start:end, pitch] = True
    return roll


def midi_bytes(roll: np.ndarray, frames_per_beat: int, beats_per_minute: float = 90.0) -> bytes:
    """Return a piano roll as a MIDI file of one track.

    A key that sounds in several frames in a row is one long note: a roll does not tell where it is struck again.
    """
    mido = _mido()
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute))])
    edges = np.diff(np.pad(roll.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    now = 0
    for frame, row in enumerate(edges):
        tick = round(frame * TICKS / frames_per_beat)
        for key in [*np.flatnonzero(row < 0), *np.flatnonzero(row > 0)]:
            kind = "note_on" if row[key] > 0 else "note_off"
            track.append(mido.Message(kind, note=int(key) + LOWEST, velocity=VELOCITY, time=tick - now))
            now = tick
    track.append(mido.MetaMessage("end_of_track", time=round(len(roll) * TICKS / frames_per_beat) - now))
    midi = mido.MidiFile(type=0, ticks_per_beat=TICKS)
    midi.tracks.append(track)
    out = BytesIO()
    midi.save(file=out)
    return out.getvalue()

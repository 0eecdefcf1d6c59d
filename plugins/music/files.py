"""New pieces, whichever kind of file they are in."""

from __future__ import annotations

import warnings
from pathlib import Path

from lstmlab.errors import some

from .midi import read_midi
from .pieces import BadPieceError, Pieces
from .rolls import read_rolls

MIDI, ROLLS = (".mid", ".midi"), (".mat", ".npz")


def read(path: Path, frames_per_beat: int) -> Pieces:
    """Read piano rolls or MIDI, whichever ``path`` ends in or, of a folder, holds; warn of what was left out.

    Raises:
        BadPieceError: when it holds neither, or both.
    """
    if not path.exists():
        raise BadPieceError(f"{path} is not there")
    endings = {f.suffix.lower() for f in ([path] if path.is_file() else path.rglob("*"))} & {*MIDI, *ROLLS}
    if not endings or (endings & {*MIDI} and endings & {*ROLLS}):
        found = f"both {' and '.join(sorted(endings))}" if endings else "neither"
        raise BadPieceError(
            f"{path}: expected MIDI ({', '.join(MIDI)}) or piano rolls ({', '.join(ROLLS)}), not {found}"
        )
    pieces = read_midi(path, frames_per_beat) if endings & {*MIDI} else read_rolls(path)
    for note in pieces.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return pieces


def read_one(path: Path, frames_per_beat: int) -> Pieces:
    """Read the only piece of a file.

    Raises:
        BadPieceError: when there are more.
    """
    pieces = read(path, frames_per_beat)
    if len(pieces.rolls) != 1:
        raise BadPieceError(f"{path}: it holds {len(pieces.rolls)} pieces; give one: {some(pieces.names)}")
    return pieces

"""How many samples the header of a sound file promises; libsndfile itself believes what is left of a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

UNKNOWN = 0xFFFFFFFF  # what a program writes that sends WAV before it knows how long it gets


def promised_frames(path: Path) -> int | None:
    """Return the samples of each channel that a WAV or NIST SPHERE header names; None where it names none."""
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF" and start[8:] == b"WAVE":
            return _riff(file)
        if start[:7] == b"NIST_1A":
            found = re.search(rb"sample_count -i (\d+)", start + file.read(1024 - len(start)))
            return int(found[1]) if found else None
    return None


def _riff(file: BinaryIO) -> int | None:
    """Read chunks up to ``data``: frames are its bytes over those of one frame, which ``fmt`` tells."""
    align = None
    while len(head := file.read(8)) == 8:
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"fmt ":
            content = file.read(size + size % 2)
            align = int.from_bytes(content[12:14], "little")
            if int.from_bytes(content[:2], "little") not in (1, 3, 0xFFFE):  # packed: bytes tell no frames
                return None
        elif kind == b"data":
            return size // align if align and size not in (0, UNKNOWN) else None
        else:
            file.seek(size + size % 2, 1)
    return None

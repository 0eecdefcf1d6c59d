"""What a run printed, kept small however much it prints."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT = 1 << 20  # bytes of log.txt
KEPT = 1 << 18  # bytes that stay of its beginning, and of its end, when there are more


class Log:
    """The ``log.txt`` of a run, which its worker appends to, as the process sees it that watches the worker.

    The worker's streams are the file itself, so its last words are there however it dies; and whatever it is at,
    the middle of a long log can be taken out beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.txt"
        self.left_out = 0

    def trim(self) -> None:
        """Take the middle out of a log that has grown too long."""
        try:
            size = self.path.stat().st_size
            if size > LIMIT:
                self._cut(size)
        except OSError:  # it is not there yet, or cannot be written, which is the run's concern
            return

    def _cut(self, size: int) -> None:
        with self.path.open("r+b") as file:
            file.seek(size - KEPT)
            end = file.read(KEPT)
            self.left_out += size - 2 * KEPT
            file.seek(KEPT)
            file.write(f"\n[about {self.left_out:,} bytes are left out here]\n".encode() + end)
            os.ftruncate(file.fileno(), file.tell())

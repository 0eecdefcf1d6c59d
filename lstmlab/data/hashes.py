"""Files by what is in them: SHA-256, remembered for as long as path, size and time of change stay the same."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections import defaultdict
from functools import cache
from pathlib import Path

from lstmlab import paths

EVERY = 1.0  # seconds between two writes of what is remembered: thousands of files are hashed in a row
SETTLED = 2_000_000_000  # nanoseconds; a file that changed just now may change again without a new time

_written: dict[Path, float] = {}  # when
_unwritten: set[Path] = set()  # to be written at the end


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    What was hashed once is looked up afterwards, by this process and by later ones.

    Raises:
        OSError: when the file cannot be read.
    """
    status = path.stat()
    state = (status.st_size, status.st_mtime_ns)
    remembered = _remembered(_file())
    *known, digest = remembered.get(str(path), (None,))
    if tuple(known) == state:
        return str(digest)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > SETTLED:
        remembered[str(path)] = (*state, digest)
        _keep_now_and_then(_file())
    return digest


def by_size(root: Path) -> dict[int, list[Path]]:
    """Return all files below a folder by their size in bytes; links to folders are followed once."""
    found: dict[int, list[Path]] = defaultdict(list)
    todo, seen = [root], set()
    while todo:
        folder = todo.pop()
        with contextlib.suppress(OSError):  # a folder that may not be read holds nothing for us
            here = folder.stat()
            if (here.st_dev, here.st_ino) in seen:
                continue
            seen.add((here.st_dev, here.st_ino))
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):  # a link that leads nowhere
                    if entry.is_dir():
                        todo.append(Path(entry.path))
                    elif entry.is_file():
                        found[entry.stat().st_size].append(Path(entry.path))
    return {size: sorted(files) for size, files in found.items()}


def _file() -> Path:
    return paths.cache() / "hashes.json"


@cache
def _remembered(file: Path) -> dict[str, tuple[int | str, ...]]:
    """Return path -> (size, time of change, hash) as it was kept."""
    try:
        return {path: tuple(entry) for path, entry in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):  # none yet, or damaged: it is made anew
        return {}


def _keep_now_and_then(file: Path) -> None:
    """Write what is remembered unless that was done a moment ago; then do so at the end of the process."""
    if time.monotonic() - _written.get(file, -EVERY) >= EVERY:
        _keep(file)
    elif file not in _unwritten:
        _unwritten.add(file)
        atexit.register(lambda: _keep(file) if file.parent.is_dir() else None)


def _keep(file: Path) -> None:
    """Write what is remembered; where the cache cannot be written, this process alone remembers."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(_remembered(file), out)
        os.replace(written, file)
    _written[file] = time.monotonic()

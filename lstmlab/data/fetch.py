"""Files that are known by their hash: found where the user keeps them, in the cache, or downloaded."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstmlab import paths
from lstmlab.data.hashes import by_size, sha256
from lstmlab.data.transfer import MirrorError, NoConnectionError, transfer
from lstmlab.errors import LstmlabError

if TYPE_CHECKING:
    from tqdm import tqdm

FOLDER = "LSTMLAB_DATA_DIR"


@dataclass(frozen=True)
class File:
    """A file of a data set.

    Attributes:
        name: what the data set calls it; where it is kept, it may be called otherwise.
        sha256: its hash, 64 hexadecimal digits: what it is known by.
        size: bytes.
        urls: mirrors in the order in which they are tried; none when it cannot be downloaded by itself.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"File {self.name!r}: sha256={self.sha256!r} is not 64 digits 0-9 and a-f")
        if isinstance(self.urls, str):
            raise ValueError(f"File {self.name!r}: urls must be a tuple, ({self.urls!r},)")

    @property
    def cached(self) -> Path:
        """Where a download is kept."""
        return paths.cache() / "data" / f"{self.sha256[:12]}-{Path(self.name).name}"


def fetch(file: File, described: str = "", bar: tqdm[Any] | None = None) -> Path:
    """Return where a file is on this machine, downloading it if need be.

    It is looked for by its hash in the folder that the environment variable ``LSTMLAB_DATA_DIR``
    names, then in the user's cache, then at its mirrors. A download that was cut goes on where
    it stopped; a file has its name only once its hash is right.

    Args:
        file: what to fetch.
        described: where its data set is described, for the message when it cannot be downloaded.
        bar: a progress bar over bytes to use instead of one for this file alone.

    Raises:
        LstmlabError: when it cannot be had, with every mirror's reason and what to do.
    """
    found = find(file) or find(file, again=True)
    if found is not None:
        return found
    if not file.urls:
        raise LstmlabError(
            f"{file.name} ({file.size:,} bytes, SHA-256 {file.sha256}) cannot be downloaded by itself. "
            f"{f'It is described at {described}. ' if described else ''}{_own_folder()}"
        )
    with _alone(file):
        if file.cached.exists():
            if sha256(file.cached) == file.sha256:
                return file.cached  # another process has downloaded it meanwhile
            print(f"lstmlab: {file.cached} is damaged and downloaded again", file=sys.stderr)
        return _download(file, bar)


def find(file: File, again: bool = False) -> Path | None:
    """Return where a file is on this machine, or None.

    Args:
        file: what to find.
        again: look once more at what is in the user's folder, instead of remembering it.

    Raises:
        LstmlabError: when ``LSTMLAB_DATA_DIR`` names no folder.
    """
    own = os.environ.get(FOLDER)
    if own:
        if again:
            _listing.cache_clear()
        for path in _listing(Path(os.path.expanduser(own)).absolute()).get(file.size, []):
            if _is(file, path):
                return path
    return file.cached if _is(file, file.cached) else None


def _is(file: File, path: Path) -> bool:
    try:
        return path.stat().st_size == file.size and sha256(path) == file.sha256
    except OSError:  # not there, or not for us to read
        return False


@cache
def _listing(own: Path) -> dict[int, list[Path]]:
    if not own.is_dir():
        raise LstmlabError(f"{FOLDER}={own}: there is no such folder; correct it, or unset it to download data.")
    return by_size(own)


def _download(file: File, bar: tqdm[Any] | None) -> Path:
    from lstmlab.progress import bar as new_bar

    part = file.cached.with_name(f"{file.cached.name}.part")
    had = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(part.parent).free + had
    if free < file.size:
        raise LstmlabError(
            f"{file.name} has {file.size:,} bytes, and {part.parent} has room for {free:,}: free some space, "
            "or let XDG_CACHE_HOME name a folder with more."
        )
    failures: dict[str, MirrorError] = {}
    with nullcontext(bar) if bar is not None else new_bar(file.size, file.name, unit="B") as shown:
        shown.update(had)
        for url in file.urls:
            try:
                transfer(file, url, part, shown)
            except MirrorError as error:
                failures[url] = error
            else:
                os.replace(part, file.cached)
                return file.cached
    reasons = "".join(f"\n  {url}: {error}" for url, error in failures.items())
    offline = all(isinstance(error, NoConnectionError) for error in failures.values())
    advice = "No mirror was reached: is there a network? " if offline else ""
    raise LstmlabError(f"{file.name} could not be downloaded:{reasons}\n{advice}{_own_folder()}")


@contextmanager
def _alone(file: File) -> Iterator[None]:
    """Hold other processes that want the same file until this one has it."""
    lock = file.cached.with_name(f"{file.cached.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("w")
    except OSError as error:
        raise LstmlabError(
            f"{lock.parent} cannot be written: {error.strerror}; let XDG_CACHE_HOME name another folder."
        ) from None
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _own_folder() -> str:
    return f"If you have the file, under whatever name, let {FOLDER} name a folder that holds it."

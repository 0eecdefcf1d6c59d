"""One file over HTTP: resumed where it was cut, verified before it counts. pooch does the transfer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lstmlab.data.hashes import sha256
from lstmlab.errors import LstmlabError

if TYPE_CHECKING:
    from requests import Response
    from tqdm import tqdm

    from lstmlab.data.fetch import File

TRIES = 5  # at one mirror, as long as each brings some more
CHUNK = 1 << 14  # bytes; of one that is cut, nothing is kept
RANGE_NOT_SATISFIABLE = 416
TIMEOUT = (10, 30)  # seconds to connect, and between two pieces


class MirrorError(Exception):
    """A mirror does not give the file: why."""


class NoConnectionError(MirrorError):
    """A mirror was not even reached."""


def transfer(file: File, url: str, part: Path, bar: tqdm[Any]) -> None:
    """Fill ``part`` up to the whole file, going on where an earlier transfer was cut.

    Raises:
        MirrorError: when this mirror does not give the file; what it gave rightly stays in ``part``.
        LstmlabError: when the disk is full.
    """
    resumed = _size(part) > 0
    _receive(file, url, part, bar)
    if sha256(part) != file.sha256 and resumed:  # what was there before may have been wrong
        part.unlink()
        _receive(file, url, part, bar)
    found = sha256(part)
    if found != file.sha256:
        part.unlink()
        raise MirrorError(f"what it sends is another file: SHA-256 {found} instead of {file.sha256}")


def _receive(file: File, url: str, part: Path, bar: tqdm[Any]) -> None:
    """Ask until ``part`` has the right size, or nothing more comes."""
    failure = MirrorError("it sends nothing")
    for _ in range(TRIES):
        had = _size(part)
        if had == file.size:
            return
        try:
            _request(file, url, part, bar)
            failure = MirrorError(f"truncated: it sends {_size(part):,} of {file.size:,} bytes")
        except MirrorError as error:
            failure = error
        if _size(part) <= had:
            break
    if _size(part) != file.size:
        raise failure


def _request(file: File, url: str, part: Path, bar: tqdm[Any]) -> None:
    """Make one request, and write what it brings; whatever is wrong with it is a `MirrorError`."""
    import pooch
    import requests

    with part.open("ab") as out:
        sink = _Sink(out, file.size, bar)
        # identity: a length in bytes must be one of the file itself
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={out.tell()}-"} if out.tell() else {})
        get = pooch.HTTPDownloader(chunk_size=CHUNK, headers=headers, timeout=TIMEOUT, hooks={"response": sink.begin})
        try:
            get(url, sink, None)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == RANGE_NOT_SATISFIABLE:
                raise MirrorError(f"truncated: it has no more than {out.tell():,} of {file.size:,} bytes") from None
            raise MirrorError(f"it answers {error}") from None
        except requests.RequestException as error:
            kind = MirrorError if sink.answered else NoConnectionError
            raise kind(_innermost(error)) from None
        except OSError as error:
            raise LstmlabError(f"{file.name} cannot be written to {part.parent}: {error.strerror}") from None


class _Sink:
    """What pooch writes to: the unfinished file, from where the answer begins."""

    def __init__(self, out: BinaryIO, size: int, bar: tqdm[Any]) -> None:
        self.out, self.size, self.bar = out, size, bar
        self.answered = False

    def begin(self, response: Response, **_: Any) -> None:
        """Keep what is there if the answer goes on from it; else begin again."""
        self.answered = True
        if response.status_code == 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if start is None or int(start[1]) != self.out.tell():
                raise MirrorError("it sends another part of the file than was asked for")
        elif response.status_code == 200:  # all of it, whether a part was asked for or not
            self._restart()

    def write(self, data: bytes) -> None:
        if self.out.tell() + len(data) > self.size:
            self._restart()
            raise MirrorError(f"it sends more than {self.size:,} bytes: another file")
        self.out.write(data)
        self.bar.update(len(data))

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""

    def _restart(self) -> None:
        self.bar.update(-self.out.tell())
        self.out.truncate(0)
        self.out.seek(0)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _innermost(error: BaseException) -> str:
    """Return the first cause of a network error in words."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

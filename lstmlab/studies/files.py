"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lstmlab.errors import LstmlabError


class StorageError(LstmlabError):
    """A file of the store cannot be written or read."""


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        StorageError: when the disk is full or the folder cannot be written.
    """
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which becomes ``path`` when the block ends, and nothing when it raises.

    Raises:
        StorageError: when the disk is full or the folder cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise failure(path, error) from error
        raise


@contextmanager
def scratch(folder: Path, prefix: str) -> Iterator[Path]:
    """Give a new folder inside ``folder`` for the time of the block.

    Raises:
        StorageError: when it cannot be made.
    """
    make_folder(folder)
    try:
        place = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    except OSError as error:
        raise failure(folder, error) from error
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder where there is none.

    Raises:
        StorageError: when it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failure(folder, error) from error


def failure(path: Path, error: OSError) -> StorageError:
    """Return what to say where ``path`` could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free some space" if full else "choose another folder with outputs=DIR"
    return StorageError(
        f"{path} cannot be written: {error.strerror}. Finished runs are kept; {advice} and repeat the command."
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

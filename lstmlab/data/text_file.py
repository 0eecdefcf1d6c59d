"""Lines of a text file: UTF-8 or an error that names the line."""

from __future__ import annotations

import gzip
from pathlib import Path

from lstmlab.errors import LstmlabError


class TextError(LstmlabError):
    """A text file that cannot be used: file, line, what is expected."""


def read_lines(path: Path) -> list[str]:
    r"""Return the lines of a text file, or of one that is packed with gzip (``.gz``), without their ends.

    Lines end with ``\n`` or ``\r\n`` and with nothing else: characters such as U+0085 or U+2028 stay where they are.
    A byte order mark is left out. What follows the last line end is a line only where there is something.

    Raises:
        TextError: when the file cannot be read, is not UTF-8, or holds zero bytes.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise TextError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return decode_lines(raw, path.name)


def decode_lines(raw: bytes, name: str) -> list[str]:
    """Return the lines of ``raw`` as `read_lines` does; ``name`` is told in errors."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TextError(
            f"{name}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8 (`iconv -f latin1 -t utf-8` where it is Latin-1)"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TextError(f"{name}, line {line}: a zero byte; expected plain text in UTF-8")
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if not lines[-1] else lines)]

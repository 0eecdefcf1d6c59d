"""Reading the user's own text."""

from __future__ import annotations

from pathlib import Path

from lstmlab.data.text_file import TextError, decode_lines


def read_text(path: Path) -> tuple[list[str], list[str]]:
    """Return the lines of a file, or of all .txt files below a folder in the order of their names, and notes.

    Raises:
        TextError: when there is no text, or a file is not UTF-8 or holds zero bytes: file, line, what is expected.
    """
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() == ".txt") if path.is_dir() else [path]
    if not files:
        raise TextError(f"{path}: no file in this folder ends in .txt; expected text in UTF-8")
    lines: list[str] = []
    windows, empty = 0, []
    for file in files:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise TextError(f"{file} cannot be read: {error.strerror}") from None
        found = decode_lines(raw, file.name)
        windows += raw.count(b"\r\n")
        if any(line.strip() for line in found):
            lines += found
        else:
            empty.append(file.name)
    if not lines:
        raise TextError(f"{path}: there is no text in it; expected text in UTF-8")
    told = [f"{len(files) - len(empty)} files were read one after the other, by name."] if len(files) > 1 else []
    told += [f"{windows:,} line ends CR LF were read as LF."] if windows else []
    told += [f"{len(empty)} files without text were left out: {', '.join(empty[:5])}."] if empty else []
    return lines, told

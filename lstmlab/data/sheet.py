"""A CSV file as columns of text, each cell with its line: encoding, separator, header, ragged rows."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lstmlab.data import dates
from lstmlab.errors import LstmlabError, nearest

SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma"}
MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "."}  # in lower case
SAMPLE = 50  # lines that the separator is read from


class TableError(LstmlabError):
    """A table that cannot be used: file, line or column, and what is expected."""


@dataclass(frozen=True)
class Sheet:
    """Columns of stripped cells by name, and the line in which each row begins."""

    path: Path
    separator: str
    columns: dict[str, list[str]]
    lines: list[int]

    def refuse(self, what: str, row: int | None = None, column: str | None = None) -> NoReturn:
        """Raise a `TableError` that says where."""
        places = [str(self.path)]
        if row is not None:
            places.append(f"line {self.lines[row]}")
        if column is not None:
            places.append(f"column {column!r}")
        raise TableError(f"{', '.join(places)}: {what}")

    def check(self, key: str, names: Iterable[str]) -> None:
        """Raise a `TableError` for the first of the columns that a config key names and the file lacks."""
        for name in names:
            if name not in self.columns:
                self.refuse(
                    f"there is no column {name!r}, which {key} names.{nearest(name, self.columns)} "
                    f"Columns: {', '.join(self.columns)}."
                )

    def row(self, number: int) -> tuple[str, ...]:
        """Return all cells of a row."""
        return tuple(cells[number] for cells in self.columns.values())


def is_missing(cell: str) -> bool:
    """Return whether a cell says that there is no value."""
    return cell.lower() in MISSING


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file: UTF-8 (or UTF-16 with its mark), separated by comma, semicolon or tab, with a header.

    Raises:
        TableError: for a file that cannot be read, is empty, not text, or has rows of different lengths.
    """
    text = _text(path)
    separator = _separator(path, text)
    lines, rows = _rows(path, text, separator)
    header, *rows = rows
    names = [name or f"column {at}" for at, name in enumerate(header, 1)]
    _check_header(path, lines[0], names)
    for line, row in zip(lines[1:], rows, strict=True):
        if len(row) != len(names):
            raise TableError(
                f"{path}, line {line}: {len(row)} cells, but the header has {len(names)} "
                f"(separator: {SEPARATORS[separator]}). Put cells that contain the separator in double quotes."
            )
    if not rows:
        raise TableError(f"{path} has a header and no rows below it.")
    columns = {name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}
    return Sheet(path, separator, columns, lines[1:])


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        beside = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        raise TableError(f"{path} cannot be read: {error.strerror}.{nearest(path.name, beside)}") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{path}, line {line}: byte {error.start + 1} of the file (0x{data[error.start]:02x}) is not "
            f"{'UTF-16' if wide else 'UTF-8'}. Save the file as UTF-8; if it is Latin-1: "
            f"iconv -f ISO-8859-1 -t UTF-8 {path.name} > new.csv"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TableError(f"{path}, line {line}: there is a zero byte, so this is no text. Expected: CSV in UTF-8.")
    if not text.strip():
        raise TableError(f"{path} is empty. Expected: CSV with a header and a row per time.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(path: Path, text: str) -> str:
    """Return the separator that makes equal rows with a date in them; of several, the one that makes most cells."""
    sample = [line for line in text.split("\n")[: 2 * SAMPLE] if line.strip()][:SAMPLE]

    def suits(separator: str) -> tuple[bool, bool, int]:
        header, *rows = csv.reader(sample, delimiter=separator, skipinitialspace=True)
        dated = any(dates.kind(cell.strip()) for row in rows[:1] for cell in row)
        return all(len(row) == len(header) for row in rows), dated, len(header)

    several = [separator for separator in SEPARATORS if suits(separator)[-1] > 1]
    if not several:
        raise TableError(
            f"{path}, line 1: there is one column only. Expected: a column of times and columns of numbers, "
            "separated by comma, semicolon or tab."
        )
    return max(several, key=suits)


def _rows(path: Path, text: str, separator: str) -> tuple[list[int], list[list[str]]]:
    """Return the rows that hold something, and the lines in which they begin."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    lines, rows, line = [], [], 1
    try:
        for row in reader:
            if any(cells := [cell.strip() for cell in row]):
                lines.append(line)
                rows.append(cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{path}, line {line}: {error}; is a double quote missing?") from None
    return lines, rows


def _check_header(path: Path, line: int, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise TableError(f"{path}, line {line}: two columns are called {sorted(twice)[0]!r}; rename one.")
    if any(dates.kind(name) for name in names):
        raise TableError(f"{path}, line {line}: a date stands where a name is expected. Is the header missing?")

"""Chosen columns of a CSV or TSV file, each row with the line in which it begins."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lstmlab.data.text_file import TextError, read_lines
from lstmlab.errors import nearest

if TYPE_CHECKING:
    from .task import SentimentConfig

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True)
class Row:
    """The cells of a row, without spaces around them, and the line in which it begins."""

    line: int
    cells: tuple[str, ...]


def read_rows(path: Path, wanted: dict[str, str], config: SentimentConfig) -> list[Row]:
    """Return the wanted cells of all rows below the header; those of a blank line are empty.

    Args:
        path: of a table.
        wanted: the name of a column by the key that gives it; its number, from 1, where there is no header.
        config: says how the file is written.
    """
    lines = read_lines(path)
    with _long_cells():
        separator = _separator(path, lines, wanted, config)
        found = list(_records(path, lines, separator, config))
    head = next((row for row in found if any(row.cells)), None)
    if head is None:
        raise TextError(f"{path} is empty; expected a row for each text")
    columns = [_column(path, head, key, name, config) for key, name in wanted.items()]
    rows = []
    for row in found[found.index(head) + config.header :]:
        if not any(row.cells):
            rows.append(Row(row.line, ("",) * len(columns)))
            continue
        if len(row.cells) != len(head.cells):
            raise TextError(
                f"{path}, line {row.line}: {len(row.cells)} cells, expected {len(head.cells)} as in line {head.line}; "
                f"put a text that holds the separator {separator!r} into double quotes"
            )
        rows.append(Row(row.line, tuple(row.cells[i] for i in columns)))
    if not rows:
        raise TextError(f"{path} has a header and no rows below it")
    return rows


def _separator(path: Path, lines: list[str], wanted: dict[str, str], config: SentimentConfig) -> str:
    """Return the separator: the given one, that of the file's suffix, or the first that makes the columns wanted."""
    if config.separator != "auto":
        return SEPARATORS[config.separator]
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    first = next((line for line in lines if line.strip()), "")

    def suits(separator: str) -> bool:
        cells = next(csv.reader([first], delimiter=separator), [])
        return all(name in cells if config.header else _number(name) <= len(cells) for name in wanted.values())

    return next((separator for separator in SEPARATORS.values() if suits(separator)), ",")


def _records(path: Path, lines: list[str], separator: str, config: SentimentConfig) -> Iterator[Row]:
    """Yield all rows; a quoted cell may go over several lines."""
    quoting = csv.QUOTE_MINIMAL if config.quoted else csv.QUOTE_NONE
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, quoting=quoting, strict=True)
    line = 1
    try:
        for cells in reader:
            yield Row(line, tuple(cell.strip() for cell in cells))
            line = reader.line_num + 1
    except csv.Error as error:
        if "new-line character" in str(error):
            raise TextError(
                f"{path}, line {reader.line_num}: a carriage return (CR) within the line; "
                "save the file with one kind of line end"
            ) from None
        raise TextError(
            f"{path}, line {line}: {error}. Is a double quote missing in the row that begins here? Quotes within a "
            "quoted text are doubled; task.quoted=false takes them as characters"
        ) from None


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be longer than the 131,072 characters that the csv module allows."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _column(path: Path, head: Row, key: str, name: str, config: SentimentConfig) -> int:
    if not config.header:
        if (number := _number(name)) > len(head.cells):
            refuse(
                path, head.line, f"{len(head.cells)} cells, but {key}={name}: without a header it is a number, from 1"
            )
        return number - 1
    if head.cells.count(name) != 1:
        how = "no column is" if name not in head.cells else "several columns are"
        refuse(
            path, head.line,
            f"{how} called {name!r}, which {key} says.{nearest(name, head.cells)} "
            f"Columns: {', '.join(head.cells)}. Without a header: task.header=false {key}=NUMBER",
        )  # fmt: skip
    return head.cells.index(name)


def _number(name: str) -> int:
    """Return the number of a column, and one that no file has for what is none."""
    return int(name) if name.isascii() and name.isdigit() and int(name) > 0 else sys.maxsize


def refuse(path: Path, line: int, what: str) -> NoReturn:
    """Raise a `TextError` that says where."""
    raise TextError(f"{path}, line {line}: {what}")

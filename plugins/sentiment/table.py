"""The user's own texts: a CSV or TSV file with a column of texts and one of classes, or a text on each line."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from lstmlab.data.text_file import TextError, read_lines
from lstmlab.errors import some
from lstmlab.tasks.task import SPLITS

from .cells import Row, read_rows, refuse
from .splits import FEWEST, divide, same

if TYPE_CHECKING:
    from lstmlab.tasks.text_classification import Texts

    from .task import SentimentConfig

TABLES = (".csv", ".tsv", ".tab")
MEANT = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "dev": "validation"}
MEANT |= {"test": "test"}


def read_labelled(path: Path, config: SentimentConfig) -> tuple[dict[str, Texts], list[str]]:
    """Return texts and classes of each split, and notes on what was left out.

    Rows without a text or a class are left out and counted, so are blank lines and rows that say again what an
    earlier one said. Equal texts are in one split.

    Raises:
        TextError: for what cannot be used, with file and line, and what is expected.
    """
    wanted = {"task.text_column": config.text_column, "task.label_column": config.label_column}
    if config.split_column is not None:
        wanted["task.split_column"] = config.split_column
    rows, notes = _complete(read_rows(path, wanted, config))
    rows = _different(rows, notes)
    if config.split_column is None:
        _check_classes(path, rows)
        texts, classes = [row.cells[0] for row in rows], [row.cells[1] for row in rows]
        members = divide(texts, classes, config.validation, config.test)
        notes.append(f"{config.validation:.0%} of each class are validation, {config.test:.0%} test texts.")
    else:
        members = _named_splits(path, rows, notes)
    return {s: ([rows[i].cells[0] for i in m], [rows[i].cells[1] for i in m]) for s, m in members.items()}, notes


def read_texts(path: Path, config: SentimentConfig) -> list[Row]:
    """Return the new texts of a table's column, or of a text file with one on each line; blank ones too.

    Raises:
        TextError: when there is no text, or the file cannot be used.
    """
    if path.suffix.lower() in TABLES:
        rows = read_rows(path, {"task.text_column": config.text_column}, config)
    else:
        rows = [Row(number, (line.strip(),)) for number, line in enumerate(read_lines(path), 1)]
    if not any(row.cells[0] for row in rows):
        raise TextError(f"{path}: no text; expected one on each line, or a table (.csv, .tsv) with a column of texts")
    return rows


def _complete(rows: list[Row]) -> tuple[list[Row], list[str]]:
    notes = []
    for at, what in enumerate(("text", "class", "split")[: len(rows[0].cells)]):
        if missing := [row.line for row in rows if not row.cells[at]]:
            notes.append(f"{len(missing)} row(s) without a {what} were left out ({_lines(missing)}).")
        rows = [row for row in rows if row.cells[at]]
    return rows, notes


def _different(rows: list[Row], notes: list[str]) -> list[Row]:
    """Return the rows without those that an earlier one equals, and note texts that are in several classes."""
    first: dict[tuple[str, ...], Row] = {}
    for row in rows:
        first.setdefault(row.cells, row)
    again = [row.line for row in rows if first[row.cells] is not row]
    if again:
        notes.append(f"{len(again)} row(s) that occur again were counted once ({_lines(again)}).")
    classes: dict[str, set[str]] = defaultdict(set)
    for row in first.values():
        classes[row.cells[0]].add(row.cells[1])
    if several := [row.line for row in first.values() if len(classes[row.cells[0]]) > 1]:
        notes.append(f"{len(several)} row(s) have a text that is in several classes ({_lines(several)}).")
    return list(first.values())


def _check_classes(path: Path, rows: list[Row]) -> None:
    first = {same(row.cells[0]): row for row in reversed(rows)}  # a text of several classes counts for its first
    counts = Counter({row.cells[1]: 0 for row in rows})
    counts.update(row.cells[1] for row in first.values())
    if len(counts) < 2:
        raise TextError(
            f"{path}: {len(counts)} class(es) in the column that task.label_column names; expected at least 2"
        )
    if few := [name for name, count in counts.items() if count < FEWEST]:
        line = next(row.line for row in rows if row.cells[1] == few[0])
        refuse(
            path, line,
            f"the class {few[0]!r} has {counts[few[0]]} different text(s); expected at least {FEWEST} of each class, "
            f"one for each split. Classes with too few: {some(few)}. Is task.label_column the column of classes?",
        )  # fmt: skip


def _named_splits(path: Path, rows: list[Row], notes: list[str]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {split: [] for split in SPLITS}
    for i, row in enumerate(rows):
        split = MEANT.get(row.cells[2].lower()) or refuse(
            path, row.line, f"the split {row.cells[2]!r}; expected train, validation or test"
        )
        members[split].append(i)
    if empty := [split for split, numbers in members.items() if not numbers]:
        raise TextError(f"{path}: no {' and no '.join(empty)} texts in the column that task.split_column names")
    known = {rows[i].cells[1] for i in members["train"]}
    for row in rows:
        if row.cells[1] not in known:
            refuse(path, row.line, f"no train text has the class {row.cells[1]!r}; those have {some(sorted(known))}")
    texts = {split: {same(rows[i].cells[0]) for i in numbers} for split, numbers in members.items()}
    held = texts["validation"] | texts["test"]
    if shared := len(held & texts["train"]) + len(texts["validation"] & texts["test"] - texts["train"]):
        notes.append(f"{shared} text(s) stand in several splits, as the file has it: scores flatter by that.")
    return members


def _lines(numbers: list[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {some([str(n) for n in numbers])}"

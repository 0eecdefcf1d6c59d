"""Columns of numbers: with a decimal point or comma, missing cells as NaN, anything else refused or left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lstmlab.data.sheet import Sheet, is_missing

if TYPE_CHECKING:
    import numpy as np

NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")  # 1,234 may be either


def read_numbers(sheet: Sheet, names: Iterable[str], needed: Iterable[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the columns that hold numbers, and notes on those that do not.

    A column counts as numbers when at least half of its cells are; it must be when it is ``needed``.

    Raises:
        TableError: for a cell of such a column that is no finite number, with its line.
    """
    import numpy as np

    texts: dict[str, list[str]] = {}
    left_out: dict[str, list[str]] = {"text": [], "nothing": []}
    for name in names:
        cells = ["" if is_missing(cell) else cell for cell in sheet.columns[name]]
        present = sum(map(bool, cells))
        wrong = [row for row, cell in enumerate(cells) if cell and not NUMBER.fullmatch(cell)]
        if wrong and (name in needed or 2 * len(wrong) <= present):
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            sheet.refuse(
                f"{cells[wrong[0]]!r}{more} is not a number. Expected: numbers as in 1234.5, without thousands "
                "separators or units; an empty cell, NA, NaN, null or - where a value is missing.",
                wrong[0],
                name,
            )
        if wrong or (not present and name not in needed):
            left_out["text" if wrong else "nothing"].append(name)
        else:
            texts[name] = cells
    comma = _decimal_comma(sheet, texts)
    numbers = {name: _floats(cells, comma) for name, cells in texts.items()}
    for name, values in numbers.items():
        for row in np.isinf(values).nonzero()[0][:1]:
            sheet.refuse(f"{texts[name][row]!r} is infinite. Expected: a finite number, or an empty cell.", row, name)
    notes = ["Numbers are read with a decimal comma."] if comma else []
    notes += [
        f"{len(names)} column{'s' * (len(names) > 1)} of {what} left out: {', '.join(names)}."
        for what, names in left_out.items()
        if names
    ]
    return numbers, notes


def _floats(cells: list[str], comma: bool) -> np.ndarray:
    import numpy as np

    texts = [cell.replace(",", ".") or "nan" for cell in cells] if comma else [cell or "nan" for cell in cells]
    return np.array([float(text) for text in texts])


def _decimal_comma(sheet: Sheet, texts: dict[str, list[str]]) -> bool:
    """Return whether numbers are written as in 1,5; a file that has both, or may mean thousands, is refused."""
    where: dict[str, tuple[int, str]] = {}
    for name, cells in texts.items():
        for row, cell in enumerate(cells):
            if "," in cell:
                where.setdefault("comma", (row, name))
                if sheet.separator != "," or not THOUSANDS.fullmatch(cell):
                    where.setdefault("decimal", (row, name))
            elif "." in cell:
                where.setdefault("point", (row, name))
    if "comma" not in where:
        return False
    row, name = where["comma"]
    cell = texts[name][row]
    if "point" in where:
        other, column = where["point"]
        sheet.refuse(
            f"{cell!r} has a decimal comma, and {texts[column][other]!r} in line {sheet.lines[other]}, column "
            f"{column!r}, a decimal point. Expected: the same in all rows.",
            row,
            name,
        )
    if "decimal" not in where:
        sheet.refuse(f"{cell!r} may mean thousands or a decimal comma. Expected: numbers as in 1234.5.", row, name)
    return True

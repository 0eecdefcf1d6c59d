"""Rows on a regular grid: sorted, doubles merged, times that are missing inserted; all of it counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstmlab.data.steps import IrregularError, find_step

if TYPE_CHECKING:
    import pandas as pd

    from lstmlab.data.sheet import Sheet

ROW = "\0row"  # no file has such a column
LARGEST = 10  # times as many rows as are there: more is a wrong date rather than gaps


@dataclass
class Counts:
    """What was done to the rows of all series."""

    moved: int = 0
    merged: int = 0
    inserted: int = 0


def on_grid(sheet: Sheet, series: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return each series with a row per time, and notes on what was done.

    Args:
        sheet: where the rows come from, for messages.
        series: frames of numbers indexed by time, with the number of each row in the column `ROW`.

    Raises:
        TableError: for times that occur twice with different values, or that are on no grid.
    """
    counts = Counts()
    tidy = {name: _sorted(sheet, name, frame, counts) for name, frame in series.items()}
    if all(len(frame) < 2 for frame in tidy.values()):
        sheet.refuse("there is one time only. Expected: at least two, one step apart.")
    names = list(tidy)
    try:
        step = find_step([tidy[name].index for name in names])
    except IrregularError as error:
        row = tidy[names[error.series]].index[error.row]
        sheet.refuse(
            f"{row}{_of(names[error.series])} is on no regular grid: {error}. Expected: times one step apart; "
            "gaps are allowed. To make a grid: frame.resample('1h').mean() in pandas.",
            int(tidy[names[error.series]][ROW].iloc[error.row]),
        )
    full = {name: _filled(sheet, name, frame, step.offset, counts) for name, frame in tidy.items()}
    notes = [f"The step is {'a ' if step.words[0].isalpha() else ''}{step.words}."]
    notes += [f"{counts.moved:,} rows were not in the order of time; they were sorted."] if counts.moved else []
    notes += [f"{counts.merged:,} rows that repeat another one were left out."] if counts.merged else []
    notes += [f"{counts.inserted:,} times had no row; their values are missing."] if counts.inserted else []
    return full, notes


def _sorted(sheet: Sheet, name: str, frame: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    """Return the rows in the order of time, each time once."""
    earlier = frame.index < frame.index.to_series().cummax()
    counts.moved += int(earlier.sum())
    frame = frame.sort_index(kind="stable") if earlier.any() else frame
    repeated = frame.index.duplicated()
    rows = frame[ROW].to_numpy()
    firsts = frame[ROW].groupby(level=0).transform("first").to_numpy()
    for row, first in zip(rows[repeated], firsts[repeated], strict=True):
        if sheet.row(row) != sheet.row(first):
            time = frame.index[rows == row][0]
            sheet.refuse(
                f"the time {time}{_of(name)} is in line {sheet.lines[first]} too, with other values. Expected: each "
                "time once. If the file holds several series, let task.series name the column that tells them apart.",
                int(row),
            )
    counts.merged += int(repeated.sum())
    return frame[~repeated]


def _filled(sheet: Sheet, name: str, frame: pd.DataFrame, offset: pd.DateOffset | None, counts: Counts) -> pd.DataFrame:
    """Return the rows with those inserted that the grid lacks, without the numbers of rows."""
    import numpy as np
    import pandas as pd

    times: Any = frame.index
    if offset is not None and len(times):
        try:
            grid = pd.date_range(times[0], times[-1], freq=offset, unit=times.unit) if _fits(times, offset) else None
        except (MemoryError, ValueError):
            grid = None
        if grid is None:
            row = int(np.diff(times.asi8).argmax()) + 1
            sheet.refuse(
                f"{times[row]}{_of(name)} is {times[row] - times[row - 1]} after {times[row - 1]}: such gaps would "
                f"make more than {LARGEST} times as many rows as there are. Is a date wrong?",
                int(frame[ROW].iloc[row]),
            )
        counts.inserted += len(grid) - len(times)
        frame = frame.reindex(grid)
    return frame.drop(columns=[ROW]).rename_axis("time")


def _fits(times: pd.DatetimeIndex, offset: pd.DateOffset) -> bool:
    """Return whether the grid is not much longer than what is there."""
    if len(times) < 2:
        return True
    return (times[-1] - times[0]) / ((times[0] + offset) - times[0]) <= LARGEST * len(times)


def _of(name: str) -> str:
    return f" of series {name!r}" if name else ""

"""From a CSV file of somebody's own to a `TimeTable`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lstmlab.data import dates
from lstmlab.data.grid import ROW, on_grid
from lstmlab.data.numbers import read_numbers
from lstmlab.data.sheet import Sheet, is_missing, read_sheet
from lstmlab.data.tables import TimeTable
from lstmlab.data.zones import localise

if TYPE_CHECKING:
    from lstmlab.data.tables import TableConfig

TIME_WORDS = re.compile(r"time|date|epoch|\bts\b|\bds\b", re.IGNORECASE)
UNIT = re.compile(r".*[(\[]([^()\[\]]+)[)\]]")


def read_csv(path: Path, config: TableConfig, training: bool) -> TimeTable:
    """Do what `lstmlab.data.tables.read_table` promises."""
    sheet = read_sheet(path)
    for key in ("time", "series", "target"):
        if getattr(config, key) is not None:
            sheet.check(f"task.{key}", [getattr(config, key)])
    sheet.check("task.known", config.known)
    time = config.time or _time_column(sheet)
    series = _series(sheet, config.series)
    times, zone_notes = _times(sheet, time, config.timezone, series)
    taken = {time, config.series}
    names = [name for name in sheet.columns if name not in taken]
    numbers, notes = read_numbers(sheet, names, {*config.known, *([config.target] if config.target else [])} - taken)
    target = _target(sheet, config, taken, list(numbers))
    frame = pd.DataFrame({ROW: np.arange(len(times)), **numbers}, index=times)
    kept = times.notna()
    groups = {name: frame[kept & (series == name)] for name in dict.fromkeys(series[kept])}
    tables, grid_notes = on_grid(sheet, groups)
    notes += zone_notes + grid_notes + _missing(tables, target)
    if training:
        notes += _check_target(sheet, target, tables)
    unit = UNIT.fullmatch(target)
    return TimeTable(tables, target, target, unit[1] if unit else "", tuple(config.known), tuple(notes))


def _time_column(sheet: Sheet) -> str:
    """Return the first column that reads as dates; bare numbers need a name that speaks of time."""
    for name, cells in sheet.columns.items():
        sample = [cell for cell in cells[:100] if not is_missing(cell)]
        read = sum(dates.kind(cell) is not None for cell in sample)
        if TIME_WORDS.search(name):
            read += sum(dates.bare_kind(cell) in ("epoch", "compact") for cell in sample)
        if sample and 2 * read >= len(sample):
            return name
    sheet.refuse(
        f"no column reads as dates. Expected: one with {dates.EXPECTED}; if a date is spread over several columns, "
        f"join them; if one is written otherwise, let task.time name it. Columns: {', '.join(sheet.columns)}."
    )


def _times(sheet: Sheet, time: str, zone: str | None, series: np.ndarray) -> tuple[pd.DatetimeIndex, list[str]]:
    times = dates.read_dates(sheet.columns[time], lambda what, row: sheet.refuse(what, row, time))
    if zone is None:
        return times, []
    if times.tz is not None:
        return times, ["task.timezone is not used: the times name their zone."]
    return localise(times, zone, series)


def _series(sheet: Sheet, column: str | None) -> np.ndarray:
    if column is None:
        return np.full(len(sheet.lines), "", dtype=object)
    cells = sheet.columns[column]
    if "" in cells:
        what = "there is no name. Expected: that of the series which the row belongs to."
        sheet.refuse(what, cells.index(""), column)
    return np.array(cells, dtype=object)


def _target(sheet: Sheet, config: TableConfig, taken: set[str | None], numbers: list[str]) -> str:
    if config.target is not None:
        if config.target in taken:
            sheet.refuse(f"task.target={config.target}: this column is the time or the series already.")
        return config.target
    free = [name for name in numbers if name not in config.known]
    if len(free) != 1:
        several = f"of {', '.join(free)}" if free else "of numbers, and there is none"
        sheet.refuse(f"which column is to be learnt? Expected: task.target=COLUMN, one {several}.")
    return free[0]


def _missing(tables: dict[str, pd.DataFrame], target: str) -> list[str]:
    """Return notes on values that are missing: of the target with the longest run, of others their number."""
    rows = sum(map(len, tables.values()))
    gone = {c: sum(int(f[c].isna().sum()) for f in tables.values()) for c in next(iter(tables.values()))}
    notes = []
    if gone[target]:
        length, start = max(_longest_run(frame[target], name) for name, frame in tables.items())
        count = f"{target}: {gone[target]:,} of {rows:,} values are missing"
        notes.append(f"{count}; the longest run, {length:,}, is from {start} on.")
    others = [f"{column} {count:,}" for column, count in gone.items() if count and column != target]
    return [*notes, f"Of {rows:,} values are missing: {', '.join(others)}."] if others else notes


def _longest_run(values: pd.Series, name: str) -> tuple[int, str]:
    """Return how many values in a row are missing at most, and where that begins."""
    edges = np.flatnonzero(np.diff(np.r_[False, values.isna(), False]))
    lengths = edges[1::2] - edges[::2]
    if not len(lengths):
        return 0, ""
    start = values.index[edges[::2][lengths.argmax()]]
    return int(lengths.max()), f"{start} of {name}" if name else str(start)


def _check_target(sheet: Sheet, target: str, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Refuse a target in which nothing can be learnt, and name series in which it is so."""
    flat = [name for name, frame in tables.items() if frame[target].nunique() < 2]
    if len(flat) == len(tables):
        values = pd.concat([frame[target] for frame in tables.values()]).dropna()
        what = f"all values are {values.iloc[0]:g}" if values.nunique() == 1 else "no series has two different values"
        sheet.refuse(f"{what if len(values) else 'all values are missing'}: there is nothing to learn.", None, target)
    return [f"{target} never changes in {', '.join(flat)}."] if flat else []

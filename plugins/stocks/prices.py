"""Prices that can be learnt from: a row per trading day with open, high, low and close, all positive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lstmlab.data import TableConfig, TimeTable, read_table
from lstmlab.data.sheet import read_sheet
from lstmlab.errors import LstmlabError

OHLC = ["open", "high", "low", "close"]
CLOSES = ("close", "adj close", "adjclose", "price", "last")  # what the close is called, best first
ODD = 0.05  # share of days whose range may miss their open or close: vendors round; more is another column


@dataclass(frozen=True)
class Prices:
    """Open, high, low and close of trading days in order; where there is only a close, all four are the close."""

    frame: pd.DataFrame
    ranges: bool  # whether open, high and low were there
    notes: tuple[str, ...]


def close_column(path: Path) -> str | None:
    """Return the column of a CSV file that is called as closes are, in whatever case."""
    names = {name.strip().casefold(): name for name in read_sheet(path.expanduser()).columns}
    return next((names[close] for close in CLOSES if close in names), None)


def read_prices(path: Path, config: TableConfig) -> Prices:
    """Read the user's own file.

    Raises:
        LstmlabError: for a file that cannot be used, with line or column and what is expected.
    """
    names = read_sheet(path).columns
    target = config.target if config.target in names else close_column(path)
    keys = {key: value for key in ("time", "series") if (value := getattr(config, key)) in names}
    other = replace(config, **({"time": None, "series": None, "known": []} | keys), target=target)
    table = read_table(path, other, training=False)
    try:
        prices = tidy(table)
    except LstmlabError as error:
        raise LstmlabError(f"{path}: {error}") from None
    return replace(prices, notes=(*table.notes, *prices.notes))


def tidy(table: TimeTable) -> Prices:
    """Return the prices of a table; rows without a close are no trading days.

    Raises:
        LstmlabError: for several series, and for prices that are not positive or do not belong together.
    """
    if len(table.series) != 1:
        raise LstmlabError(f"{len(table.series)} series ({', '.join(table.series)}). Expected: the prices of one.")
    (raw,) = table.series.values()
    names = {str(name).strip().casefold(): name for name in raw.columns} | {"close": table.target}
    ranges = all(name in names for name in OHLC)
    frame = raw[[names[name if ranges else "close"] for name in OHLC]].astype("float64").set_axis(OHLC, axis=1)
    return _checked(frame, names, ranges)


def _checked(frame: pd.DataFrame, names: dict[str, str], ranges: bool) -> Prices:
    notes, closed = [], frame["close"].isna()
    if closed.any():
        notes.append(f"{closed.sum():,} of {len(frame):,} rows have no close and are left out.")
        frame = frame[~closed]
    _refuse_bad(frame, names)
    partial = frame.isna().any(axis=1)
    if partial.any():
        notes.append(f"{partial.sum():,} days lack open, high or low; only their close counts.")
        frame = frame.where(~partial, frame["close"], axis=0)
    inside = frame[["open", "close"]]
    odd = (frame["high"] < inside.max(axis=1)) | (frame["low"] > inside.min(axis=1))
    if odd.mean() > ODD:
        raise LstmlabError(
            f"on {odd.sum():,} of {len(frame):,} days, first on {_day(odd.idxmax())}, open or close lie outside high "
            f"and low. Expected: four prices of the same kind; a close that is adjusted for dividends or splits needs "
            f"the others adjusted too. Close: column {names['close']!r}."
        )
    if odd.any():
        notes.append(f"{odd.sum():,} days have an open or close outside high and low; the range is widened to hold it.")
        frame = frame.assign(high=frame.max(axis=1), low=frame.min(axis=1))
    flat = (frame["high"] == frame["low"]).sum() if ranges else 0
    if flat:
        notes.append(f"{flat:,} days have one price for open, high, low and close; only their close counts.")
    return Prices(frame, ranges, tuple(notes))


def _refuse_bad(frame: pd.DataFrame, names: dict[str, str]) -> None:
    for column in dict.fromkeys(OHLC):
        values = frame[column].to_numpy()
        bad = np.isinf(values) | (values <= 0)  # NaN is neither
        if bad.any():
            at = int(bad.argmax())
            raise LstmlabError(
                f"column {names.get(column, names['close'])!r} is {values[at]:g} on {_day(frame.index[at])}. Expected: "
                "finite prices above zero, whose logarithm can be taken; leave the cell empty if there was no price."
            )
    if len(frame) and frame["close"].nunique() < 2:
        raise LstmlabError(f"column {names['close']!r} never changes: there is nothing to forecast.")


def _day(time: object) -> str:
    return str(time).removesuffix(" 00:00:00")

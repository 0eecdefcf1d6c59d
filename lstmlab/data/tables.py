"""Tables with a time column: what numeric tasks read, from a library, a download, or the user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lstmlab.schema import TaskConfig, option

if TYPE_CHECKING:
    import pandas as pd


@dataclass(kw_only=True)
class TableConfig(TaskConfig):
    """Keys of a task that reads tables; those below count for the user's own file only."""

    time: str | None = option(None)  # the column of dates; null: the first that reads as dates
    target: str | None = option(None)  # the column that matters; for other datasets: instead of their usual one
    series: str | None = option(None)  # the column that tells several series apart
    known: list[str] = option(factory=list)  # columns whose future is known when a forecast is made
    timezone: str | None = option(None)  # of times that name none, as in Europe/Berlin


@dataclass(frozen=True)
class TimeTable:
    """One or several series on a regular grid of times.

    Attributes:
        series: name -> frame of numbers, a row per time (sorted, none missing in between, none twice), a column
            per variable; NaN where a value is missing.
        target: the column that matters.
        quantity: what it is, as an axis shows it: "temperature (°C)".
        unit: its unit.
        known: columns whose future is known when a forecast is made, such as plans and calendars.
        notes: what reading did: rows dropped, merged or inserted, with their numbers.
    """

    series: dict[str, pd.DataFrame]
    target: str
    quantity: str
    unit: str
    known: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

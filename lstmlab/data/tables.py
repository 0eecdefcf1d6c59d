"""Tables with a time column: what numeric tasks read, from a library, a download, or the user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
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


def read_table(path: str | Path, config: TableConfig, training: bool = True) -> TimeTable:
    """Read a CSV file with a column of times.

    Separator, decimal comma and the way in which dates are written are found; what can be read in two
    ways is refused. Rows are sorted, equal ones merged, times between them inserted with missing values,
    columns of text left out: `TimeTable.notes` counts all of it. Times that name their zone, or that
    ``config.timezone`` gives one, are in UTC. Days without weekends stay as they are: each row is a step.

    Args:
        path: CSV in UTF-8, or UTF-16 with its mark, with a header.
        config: which columns are what; ``target`` may be None where one column of numbers is left.
        training: refuse a target in which nothing can be learnt.

    Raises:
        LstmlabError: for a file that cannot be used, with line or column and what is expected.
    """
    from lstmlab.data.csv_reader import read_csv

    return read_csv(Path(path).expanduser(), config, training)

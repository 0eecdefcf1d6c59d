"""Tables for forecasting: read, checked, cut into parts, and what is learnt from the train part."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.data.tables import TableConfig, TimeTable
from lstmlab.errors import LstmlabError, nearest
from lstmlab.schema import option
from lstmlab.tasks.calendar import choose_cycles, step_seconds
from lstmlab.tasks.panel import WIDEST, fit_series, often_missing

if TYPE_CHECKING:
    import pandas as pd

    from lstmlab.data import Dataset

UNIT = re.compile(r".*\(([^()]+)\)")


@dataclass(kw_only=True)
class ForecastingConfig(TableConfig):
    """Keys of a forecasting task."""

    window: int = option(low=2)  # steps that the model sees
    horizon: int = option(low=1)  # steps that it forecasts
    season: int = option(low=1)  # steps after which the series repeats
    quantiles: list[float] = option(factory=lambda: [0.1, 0.25, 0.5, 0.75, 0.9])
    columns: list[str] | None = option(None)  # variables beside the target; null: all there are
    calendar: list[str] | None = option(None)  # of day, week, year; null: those that the data show
    references: list[str] = option(factory=lambda: ["naive", "seasonal naive"])  # baselines that the model leans on
    calibration: float = option(0.05, above=0, high=1)  # how fast quantiles follow their latest errors
    validation: float = option(0.15, above=0, below=0.5)  # share of each series
    test: float = option(0.15, above=0, below=0.5)  # share of each series, the latest part


def load_table(dataset: Dataset, config: ForecastingConfig) -> TimeTable:
    """Return a dataset's table, each series beginning with a value of the target.

    Raises:
        LstmlabError: for a column that is not there, a value that is infinite, a series that is too short.
    """
    table = _as_table(dataset.load(), dataset.quantity)
    some = next(iter(table.series.values()))
    wanted = {"task.target": [config.target or table.target], "task.columns": config.columns or []}
    for key, names in wanted.items():
        for name in names:
            if name not in some:
                raise LstmlabError(
                    f"{key}={name}: {config.dataset} has no such column.{nearest(name, some.columns)} "
                    f"It has {', '.join(some.columns)}."
                )
    if config.target not in (None, table.target):
        table = replace(table, target=config.target, quantity=config.target, unit="")
    series = {name: begin(frame, table.target, name) for name, frame in table.series.items()}
    for name, frame in series.items():
        _check_length(name, len(frame), config)
    early = sum(len(frame) - len(series[name]) for name, frame in table.series.items())
    note = (f"{early:,} rows before the first value of {table.target} are left out.",) if early else ()
    return replace(table, series=series, notes=table.notes + note)


def _as_table(data: Any, quantity: str) -> TimeTable:
    """Return a table as it is, and a series of pandas as a table."""
    if isinstance(data, TimeTable):
        return data
    unit = UNIT.fullmatch(quantity)
    return TimeTable({"": data.to_frame()}, str(data.name), quantity, unit[1] if unit else "")


def begin(frame: pd.DataFrame, target: str, name: str) -> pd.DataFrame:
    """Return a frame from the first value of the target on.

    Raises:
        LstmlabError: when there is none, or a value is infinite.
    """
    for column in frame:
        infinite = np.isinf(frame[column].to_numpy("float64"))
        if infinite.any():
            raise LstmlabError(
                f"{called(name)}: {column} is infinite at {frame.index[infinite.argmax()]}: leave such values empty."
            )
    known = frame[target].notna().to_numpy()
    if not known.any():
        raise LstmlabError(f"{called(name)}: {target} has no value at all.")
    return frame.iloc[int(known.argmax()) :]


def called(name: str) -> str:
    """Return what messages call a series."""
    return f"series {name!r}" if name else "the series"


def reach(config: ForecastingConfig) -> int:
    """Return how many values a forecast needs before it."""
    return max(config.window, config.season + 1)


def parts(n: int, config: ForecastingConfig) -> dict[str, tuple[int, int]]:
    """Return first and last-plus-one row of each part of a series of ``n`` values."""
    test = int(n * (1 - config.test))
    validation = int(n * (1 - config.test - config.validation))
    return {"train": (0, validation), "validation": (validation, test), "test": (test, n)}


def _check_length(name: str, n: int, config: ForecastingConfig) -> None:
    bounds = parts(n, config)
    shortest = min(stop - start for start, stop in bounds.values())
    if bounds["train"][1] <= reach(config) + config.horizon or shortest < config.horizon:
        raise LstmlabError(
            f"task {config.name!r}: {n} values of {called(name)} are too few for window={config.window}, "
            f"season={config.season} and horizon={config.horizon}; choose smaller ones"
        )


def fit_table(table: TimeTable, config: ForecastingConfig) -> dict[str, Any]:
    """Return what forecasts rest on besides weights, as JSON takes it.

    ``target``, ``quantity``, ``unit``; ``step``: seconds between values; ``calendar``: cycles; ``columns``:
    variables that are seen; ``known``: those known ahead; ``marked``: those that often lack values; and for
    each of the ``series`` what `fit_series` learns from its train part.
    """
    train = {name: frame.iloc[: parts(len(frame), config)["train"][1]] for name, frame in table.series.items()}
    step = step_seconds(next(iter(train.values())).index)
    shortest = step * min(len(frame) for frame in train.values())
    known = list(table.known)
    every = [c for c in next(iter(train.values())) if c != table.target and c not in known]
    columns = every if config.columns is None else [c for c in every if c in config.columns]
    layout: dict[str, Any] = {
        "target": table.target,
        "calendar": choose_cycles(config.calendar, step, shortest),
        "columns": columns,
        "known": known,
    }
    return {
        **layout,
        "quantity": table.quantity,
        "unit": table.unit,
        "step": step,
        "marked": often_missing(list(train.values()), [table.target, *columns]),
        "series": {name: fit_series(name, frame, layout, config) for name, frame in train.items()},
    }


def describe(table: TimeTable, fitted: dict[str, Any], config: ForecastingConfig) -> list[str]:
    """Return notes: what is forecast from what; how much was missing, and filled; how much was cut."""
    notes = [f"{config.horizon} steps are forecast from the {config.window} before them.", *table.notes]
    rows = sum(len(frame) for frame in table.series.values())
    columns = [table.target, *fitted["columns"], *fitted["known"]]
    missing = {c: sum(int(frame[c].isna().sum()) for frame in table.series.values()) for c in columns}
    if lacking := [f"{count:,} of {c}" for c, count in missing.items() if count]:
        notes.append(
            f"Of {rows:,} rows these lack values: {', '.join(lacking)}. They were filled from the past for the model "
            "to see; a target that is missing never counts as truth."
        )
    cut = 0
    for name, frame in table.series.items():
        facts = fitted["series"][name]
        cut += int((((frame[columns[1:]] - facts["mean"]) / facts["deviation"]).abs() > WIDEST).to_numpy().sum())
    if cut:
        notes.append(f"{cut:,} values of variables lie more than {WIDEST:g} deviations off and are seen as that.")
    return notes

"""Forecasts as tidy tables: from every origin of a split, and after the end of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.data.tables import TimeTable, read_table
from lstmlab.errors import LstmlabError, nearest
from lstmlab.tasks.calendar import extend, step_seconds
from lstmlab.tasks.forecast_data import begin, called
from lstmlab.tasks.panel import build_panel

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from lstmlab.tasks.forecasting import Forecasting

CALIBRATING = 1000  # forecasts within a file that calibrate the last one, at most
ALIKE = 0.2  # share by which steps may differ: a month has 28 to 31 days


def quantile_names(levels: list[float]) -> list[str]:
    """Return the names of the columns that hold quantiles: "q0.1", "q0.5", ..."""
    return [f"q{level:g}" for level in levels]


def backtest(task: Forecasting, model: nn.Module, split: str, every: int) -> pd.DataFrame:
    """Return forecasts from rolling origins as a tidy table, a row for each origin and step ahead.

    The model is not trained again; it sees all that was known at each origin.

    Args:
        task: gives data and baselines.
        model: a trained one.
        split: whose values are forecast.
        every: steps from one origin to the next.

    Returns:
        ``series``, ``origin`` (time of the last value seen), ``step`` (from 1), ``time``, ``truth``, a column
        per quantile, and the point forecast of each baseline in a column named after it.
    """
    import pandas as pd

    panel, horizon = task.panel, task.config.horizon
    quantiles = task.forecast(model, split)
    starts = task.starts(split)
    baselines = {name: task.reference(name, panel, starts) for name in task.baseline_names}
    frames = []
    for at, (name, times) in enumerate(panel.times.items()):
        rows = np.flatnonzero(panel.which[starts] == at)[::every]
        local = starts[rows] - panel.first[at]
        ahead = local[:, None] + np.arange(horizon)
        columns = {
            "series": name,
            "origin": times[np.repeat(local - 1, horizon)],
            "step": np.tile(np.arange(1, horizon + 1), len(rows)),
            "time": times[ahead.ravel()],
            "truth": panel.truth[panel.first[at] + ahead].ravel(),
        }
        for level, column in enumerate(quantile_names(task.config.quantiles)):
            columns[column] = quantiles[rows, :, level].ravel()
        columns |= {name: forecast[rows].ravel() for name, forecast in baselines.items()}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def predict(task: Forecasting, model: nn.Module, source: Path) -> pd.DataFrame:
    """Return forecasts of the steps after the last value of the target in a file.

    The file is of the kind that the training data have: for a dataset that reads files of its own format,
    that format; else a CSV with a column of times. Variables that are known ahead must be there for the
    steps that are forecast, in rows without a target. Quantiles are calibrated by the errors that the model
    makes within the file.

    Returns:
        ``series``, ``time``, ``step`` (from 1), and a column per quantile.

    Raises:
        LstmlabError: for a file that lacks columns or values, is too short, or has another step.
    """
    import pandas as pd

    table = _read(task, source)
    frames = {name: _until_horizon(task, frame, name) for name, frame in _named(task, table).items()}
    panel, horizon = build_panel(frames, task.fitted, task.config.timezone), task.config.horizon
    found = []
    for at, (name, times) in enumerate(panel.times.items()):
        start = panel.first[at + 1] - horizon
        earliest = max(panel.first[at] + task.reach, start - CALIBRATING)
        quantiles = task.calibrated(model, panel, np.arange(earliest, start + 1))[-1]
        columns = {"series": name, "time": times[-horizon:], "step": np.arange(1, horizon + 1)}
        columns |= dict(zip(quantile_names(task.config.quantiles), quantiles.T, strict=True))
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True)


def _read(task: Forecasting, source: Path) -> TimeTable:
    """Read a file as the dataset does, or as a CSV with the columns that the model was trained with."""
    own: Any = getattr(task.dataset, "read", None)
    fitted = task.fitted
    if own is not None:
        table: TimeTable = own(source)
    else:
        table = read_table(source, replace(task.config, target=fitted["target"], known=fitted["known"]), training=False)
    some = next(iter(table.series.values()))
    for column in [fitted["target"], *fitted["columns"], *fitted["known"]]:
        if column not in some:
            raise LstmlabError(
                f"{source} has no column {column!r}, which the model was trained with.{nearest(column, some.columns)} "
                f"It has {', '.join(some.columns)}."
            )
    step = step_seconds(some.index)
    if abs(step / fitted["step"] - 1) > ALIKE:
        raise LstmlabError(
            f"{source} has a value every {step:g} s, but the model was trained with one every {fitted['step']:g} s"
        )
    return table


def _named(task: Forecasting, table: TimeTable) -> dict[str, pd.DataFrame]:
    """Return the frames under the names that scales were fitted for."""
    known = task.fitted["series"]
    if len(known) == len(table.series) == 1:
        return dict(zip(known, table.series.values(), strict=True))
    for name in table.series:
        if name not in known:
            raise LstmlabError(
                f"The model was not trained with {called(name)}.{nearest(name, known)} It knows {', '.join(known)}."
            )
    return table.series


def _until_horizon(task: Forecasting, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a frame that ends ``horizon`` steps after its last value of the target."""
    target, known, horizon = task.fitted["target"], task.fitted["known"], task.config.horizon
    frame = begin(frame, target, name)
    end = int(np.flatnonzero(frame[target].notna())[-1]) + 1
    if end < task.reach:
        raise LstmlabError(
            f"{called(name)} has {end} values of {target}; the model needs {task.reach} to forecast from"
        )
    lacking = max(0, end + horizon - len(frame))
    if known and (lacking or frame[known].iloc[end : end + horizon].isna().any(axis=None)):
        raise LstmlabError(
            f"{called(name)}: {', '.join(known)} must be known for the {horizon} steps after {frame.index[end - 1]}, "
            f"the last one with {target}: add rows that leave {target} empty."
        )
    more = extend(frame.index, lacking) if lacking else frame.index[:0]
    return frame.reindex(frame.index.append(more)).iloc[: end + horizon]

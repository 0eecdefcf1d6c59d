"""Several series as one set of arrays, and what is fitted on their train parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.errors import LstmlabError
from lstmlab.tasks.calendar import cycle_features

if TYPE_CHECKING:
    import pandas as pd

OFTEN = 0.01  # share of missing values from which a column says where it has them
WIDEST = 8.0  # standard deviations at which a variable that is only seen is cut


@dataclass(frozen=True)
class Panel:
    """Series one after the other in the same arrays, so that a window is a range of rows.

    Attributes:
        times: of each series, by its name.
        first: (series + 1,) row at which each series begins, and the end of the last.
        which: (rows,) number of the series that a row belongs to.
        truth: (rows,) the target, NaN where it is missing.
        values: (rows,) the target, filled from its past.
        climatology: (rows,) what the calendar makes expect.
        seen: (rows, ...) variables and marks of missing values: known up to the present.
        ahead: (rows, ...) calendar and variables that are known in the future.
        scale: (series,) what differences are divided by.
        damping: (series, horizon) share of an anomaly that is left after each step.
    """

    times: dict[str, pd.DatetimeIndex]
    first: np.ndarray
    which: np.ndarray
    truth: np.ndarray
    values: np.ndarray
    climatology: np.ndarray
    seen: np.ndarray
    ahead: np.ndarray
    scale: np.ndarray
    damping: np.ndarray

    @property
    def anomaly(self) -> np.ndarray:
        """How far the values are off the climatology (rows,)."""
        return self.values - self.climatology


def build_panel(frames: dict[str, pd.DataFrame], fitted: dict[str, Any], timezone: str | None) -> Panel:
    """Return frames as arrays, scaled by what was fitted on the train parts."""
    parts = [_arrays(frame, fitted, fitted["series"][name], timezone) for name, frame in frames.items()]
    facts = [fitted["series"][name] for name in frames]
    lengths = [len(frame) for frame in frames.values()]
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Panel(
        {name: frame.index for name, frame in frames.items()},  # type: ignore[misc]
        np.concatenate([[0], np.cumsum(lengths)]),
        np.repeat(np.arange(len(frames)), lengths),
        *joined,
        scale=np.array([f["scale"] for f in facts]),
        damping=np.array([f["damping"] for f in facts]),
    )


def _arrays(
    frame: pd.DataFrame, fitted: dict[str, Any], facts: dict[str, Any], timezone: str | None
) -> tuple[Any, ...]:
    """Return truth, values, climatology, and what is seen and known ahead, of one series."""
    target, known = fitted["target"], fitted["known"]
    truth = frame[target].to_numpy("float64")
    values = frame[target].ffill().to_numpy("float64")
    columns = [*fitted["columns"], *known]
    scaled = (frame[columns].ffill() - facts["mean"]) / facts["deviation"]
    filled = scaled.fillna(0).clip(-WIDEST, WIDEST)  # 0, the mean of train, where no value came before
    marks = frame[fitted["marked"]].isna().to_numpy("float64")
    calendar = cycle_features(frame.index, fitted["calendar"], timezone)
    seen = np.concatenate([filled[fitted["columns"]].to_numpy("float64"), marks], axis=1)
    ahead = np.concatenate([calendar, filled[known].to_numpy("float64")], axis=1)
    expected = _with_constant(calendar) @ np.array(facts["climatology"])
    return truth, values, expected, seen, ahead


def fit_series(name: str, frame: pd.DataFrame, layout: dict[str, Any], config: Any) -> dict[str, Any]:
    """Return what is learnt from the train part of one series, as JSON takes it.

    Args:
        name: of the series, for messages.
        frame: its train part, beginning with a value of the target.
        layout: ``target``, ``columns``, ``known`` and ``calendar``, which all series share.
        config: of the task; window, horizon and season count.

    Raises:
        LstmlabError: when the target is constant.
    """
    values = frame[layout["target"]].ffill().to_numpy("float64")
    if values.min() == values.max():
        raise LstmlabError(
            f"series {name!r}: {layout['target']} is {values[0]:g} throughout its train part, so there is nothing to "
            "learn. Leave the series out, or choose smaller shares for task.validation and task.test."
        )
    calendar = _with_constant(cycle_features(frame.index, layout["calendar"], config.timezone))
    weights, *_ = np.linalg.lstsq(calendar, values, rcond=None)
    anomaly = values - calendar @ weights
    starts = np.arange(config.window, len(values) - config.horizon + 1)
    last = anomaly[starts - 1]
    power = float(last @ last) or 1.0
    damping = [last @ anomaly[starts + step] / power for step in range(config.horizon)]
    windows = values[starts[:, None] + np.arange(-config.window, 0)]
    variables = frame[[*layout["columns"], *layout["known"]]]
    deviation = variables.std().fillna(1).replace(0, 1)
    return {
        "scale": float(np.sqrt(np.mean((windows - windows[:, -1:]) ** 2))) or float(np.std(values)),
        "seasonal_error": float(np.mean(np.abs(values[config.season :] - values[: -config.season]))),
        "mean": [float(x) for x in variables.mean().fillna(0)],
        "deviation": [float(x) for x in deviation],
        "climatology": [float(x) for x in weights],
        "damping": [float(x) for x in damping],
    }


def often_missing(frames: list[pd.DataFrame], columns: list[str]) -> list[str]:
    """Return the columns in which a share of at least `OFTEN` is missing in any train part."""
    return [c for c in columns if any(frame[c].isna().mean() >= OFTEN for frame in frames)]


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)

"""What a forecasting model reads of a panel: the past, and what is known of the future."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmlab.tasks.panel import Panel
from lstmlab.tasks.references import REFERENCES


def last_and_scale(panel: Panel, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last value before each start, and the scale of its series, both (n, 1)."""
    return panel.values[starts - 1][:, None], panel.scale[panel.which[starts - 1]][:, None]


def read_windows(panel: Panel, starts: np.ndarray, config: Any) -> np.ndarray:
    """Return the inputs (n, window + horizon, features) of forecasts that begin at ``starts``.

    In this order: the target's differences to the last value, variables, marks of missing ones; calendar
    and known variables; reference forecasts; and 1 for the steps ahead. What is not known is 0.
    """
    window, horizon, season = config.window, config.horizon, config.season
    past, ahead = starts[:, None] + np.arange(-window, 0), starts[:, None] + np.arange(horizon)
    last, scale = last_and_scale(panel, starts)
    seen = 1 + panel.seen.shape[1]
    known = seen + panel.ahead.shape[1]
    rows = np.zeros((len(starts), window + horizon, known + len(config.references) + 1), dtype="float32")
    rows[:, :window, 0] = (panel.values[past] - last) / scale
    rows[:, :window, 1:seen] = panel.seen[past]
    rows[:, :window, seen:known] = panel.ahead[past]
    rows[:, window:, seen:known] = panel.ahead[ahead]
    for at, name in enumerate(config.references):
        rows[:, window:, known + at] = (REFERENCES[name](panel, starts, horizon, season) - last) / scale
    rows[:, window:, -1] = 1
    return rows

"""Forecasts that need no network: baselines, and what a model may lean on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lstmlab.errors import LstmlabError, nearest
from lstmlab.tasks.panel import Panel

Reference = Callable[[Panel, np.ndarray, int, int], np.ndarray]


def naive(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The last value."""
    return np.repeat(panel.values[starts - 1][:, None], horizon, axis=1)


def seasonal_naive(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The value a season ago: the latest one that is known."""
    # h steps ahead stands for h - season, h - 2 season, ...
    return panel.values[starts[:, None] + np.arange(horizon) % season - season]


def drift(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The value a season ago, moved by the growth since then."""
    growth = panel.values[starts - 1] - panel.values[starts - 1 - season]
    seasons = 1 + np.arange(horizon) // season
    return seasonal_naive(panel, starts, horizon, season) + growth[:, None] * seasons


def climatology(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The mean for the time of the day and the year, fitted on the train part."""
    return panel.climatology[starts[:, None] + np.arange(horizon)]


def persistent_anomaly(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The climatology, as far off as it is now."""
    return climatology(panel, starts, horizon, season) + panel.anomaly[starts - 1][:, None]


def damped_anomaly(panel: Panel, starts: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The climatology, less and less off: by a factor for each step that is fitted on the train part."""
    anomaly = panel.anomaly[starts - 1][:, None] * panel.damping[panel.which[starts]]
    return climatology(panel, starts, horizon, season) + anomaly


REFERENCES: dict[str, Reference] = {
    "naive": naive,
    "seasonal naive": seasonal_naive,
    "seasonal naive with drift": drift,
    "climatology": climatology,
    "persistent anomaly": persistent_anomaly,
    "damped anomaly": damped_anomaly,
}


def check_references(names: Sequence[str]) -> None:
    """Refuse names that stand for no forecast.

    Raises:
        LstmlabError: with all that are known.
    """
    for name in names:
        if name not in REFERENCES:
            raise LstmlabError(
                f"task.references has {name!r}.{nearest(name, REFERENCES)} Allowed: {', '.join(REFERENCES)}."
            )

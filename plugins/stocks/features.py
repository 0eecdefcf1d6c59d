"""What a model knows at the close of a day, and the variance that it is judged by.

Returns are logarithmic and in percent, variances in percent squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from .prices import Prices

DAY, WEEK, MONTH = 1, 5, 22  # trading days, as in Corsi (2009)
FLOOR = 0.02  # of the mean variance: keeps logarithms of quiet days finite
LIMIT = 8.0  # standard deviations at which a feature is cut


@dataclass(frozen=True)
class History:
    """Returns of each day, and the variance of its range; the first day has no return.

    Attributes:
        returns: close to close.
        gaps: close to the next open.
        rough: the squared gap plus Garman and Klass's (1980) variance from open to close,
            https://doi.org/10.1086/296072; of a day with one price it is the squared return.
        ranged: days that have a range.
    """

    days: pd.DatetimeIndex
    close: np.ndarray
    returns: np.ndarray
    gaps: np.ndarray
    rough: np.ndarray
    ranged: np.ndarray


def history(prices: Prices, ranges: bool) -> History:
    """Return what is computed of each day from its prices and the close before; ``ranges``: from more than closes."""
    opened, high, low, close = 100 * np.log(prices.frame.to_numpy().T)
    if not ranges:
        opened = high = low = close
    gaps = np.concatenate([[0.0], opened[1:] - close[:-1]])
    inside = (high - low) ** 2 / 2 - (2 * np.log(2) - 1) * (close - opened) ** 2
    days: Any = prices.frame.index
    returns = np.diff(close, prepend=close[0])
    return History(days, prices.frame["close"].to_numpy(), returns, gaps, gaps**2 + inside, high > low)


def fit(past: History, stop: int) -> dict[str, Any]:
    """Return what is learnt from the days before ``stop``: all that `variance` and `inputs` need.

    ``factor`` brings the variance of ranges to the level of squared returns, since an index hardly moves
    between a close and the next printed open (Hansen and Lunde 2005, https://doi.org/10.1093/jjfinec/nbi028).
    """
    train = slice(1, stop)
    ranged = past.ranged[train]
    rough = past.rough[train][ranged].sum()
    factor = float((past.returns[train][ranged] ** 2).sum() / rough) if rough > 0 else 1.0
    learnt: dict[str, Any] = {"ranges": bool(ranged.any()), "factor": factor}
    realised = variance(past, learnt)
    learnt["floor"] = FLOOR * float(realised[train].mean())
    learnt["har"] = fit_har(realised, stop)
    known = _features(past, learnt)[MONTH : stop - 1]
    learnt |= {"centre": known.mean(0).tolist(), "spread": np.maximum(known.std(0), 1e-6).tolist()}
    return learnt


def variance(past: History, learnt: dict[str, Any]) -> np.ndarray:
    """Return the proxy of each day's variance: from its range where it has one, else the squared return."""
    return np.where(past.ranged, learnt["factor"] * past.rough, past.returns**2)


def fit_har(realised: np.ndarray, stop: int) -> list[float]:
    """Return constant and weights of the last day, week and month, all positive, with the least QLIKE.

    The heterogeneous autoregression of Corsi (2009), https://doi.org/10.1093/jjfinec/nbp001, fitted to
    the loss that it is judged by.
    """
    terms = _har_terms(realised)[MONTH : stop - 1]
    target = realised[MONTH + 1 : stop]

    def loss(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.exp(logarithms)
        forecast = terms @ weights
        slope = (1 / forecast - target / forecast**2)[:, None] * terms * weights
        return float(np.mean(np.log(forecast) + target / forecast)), slope.mean(0)

    start = np.log([0.1 * target.mean(), 0.2, 0.3, 0.4])
    weights: list[float] = np.exp(minimize(loss, start, jac=True, method="L-BFGS-B").x).tolist()
    return weights


def har(past: History, learnt: dict[str, Any]) -> np.ndarray:
    """Return, for each day, the forecast of the next day's variance."""
    return _har_terms(variance(past, learnt)) @ np.array(learnt["har"])


def inputs(past: History, learnt: dict[str, Any]) -> np.ndarray:
    """Return the features (days, features) of each day in units of their spread over train.

    The first is the logarithm of HAR's forecast, which the model corrects; it is not cut.
    """
    scaled = (_features(past, learnt) - np.array(learnt["centre"])) / np.array(learnt["spread"])
    scaled[:, 1:] = np.clip(scaled[:, 1:], -LIMIT, LIMIT)
    return scaled


def _features(past: History, learnt: dict[str, Any]) -> np.ndarray:
    """Return HAR's forecast; relative to it the return, bad news, past variances, the gap; and if it is Friday."""
    realised, floor = variance(past, learnt), learnt["floor"]
    forecast = har(past, learnt)
    surprise = past.returns / np.sqrt(forecast)
    columns = [
        np.log(forecast),
        surprise,
        np.where(surprise < 0, np.log1p(surprise**2), 0.0),  # bad news moves variance more: Black (1976)
        *(np.log((_mean(realised, days) + floor) / (forecast + floor)) for days in (DAY, WEEK, MONTH)),
        (past.days.day_of_week == 4).astype(float),
    ]
    if learnt["ranges"]:
        columns.append(past.gaps / np.sqrt(forecast))
    return np.stack(columns, 1)


def _har_terms(realised: np.ndarray) -> np.ndarray:
    means = [_mean(realised, days) for days in (DAY, WEEK, MONTH)]
    return np.stack([np.ones_like(realised), *means], 1)


def _mean(values: np.ndarray, days: int) -> np.ndarray:
    mean: np.ndarray = pd.Series(values).rolling(days, min_periods=1).mean().to_numpy()
    return np.maximum(mean, 0.0)  # sums that roll may end a rounding below zero

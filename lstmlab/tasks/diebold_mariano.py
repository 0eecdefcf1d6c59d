"""Whether two forecasts of the same series differ in loss: the test of Diebold and Mariano."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lstmlab.errors import LstmlabError

FEWEST = 10  # forecasts below which the test means nothing


@dataclass(frozen=True)
class DieboldMariano:
    """What the test found.

    Attributes:
        difference: mean loss of the first forecast minus that of the second; below zero, the first is better.
        statistic: with the small-sample correction; Student's t with n - 1 degrees of freedom under equal losses.
        p: two-sided.
        lags: autocovariances of the loss difference that count in its variance.
        n: forecasts.
    """

    difference: float
    statistic: float
    p: float
    lags: int
    n: int


def diebold_mariano(
    first: np.ndarray | Sequence[float],
    second: np.ndarray | Sequence[float],
    horizon: int = 1,
    lags: int | None = None,
) -> DieboldMariano:
    """Test whether two forecasts have the same expected loss.

    Diebold and Mariano (1995), https://doi.org/10.1080/07350015.1995.10524599, with the small-sample
    correction of Harvey, Leybourne and Newbold (1997), https://doi.org/10.1016/S0169-2070(96)00719-4.
    The variance of the mean difference is Newey and West's (1987), https://doi.org/10.2307/1913610:
    Bartlett weights keep it positive.

    Args:
        first: losses of one forecast, in the order of time (n,).
        second: those of the other, of the same times.
        horizon: steps ahead.
        lags: of the variance; None: 4 (n/100)^(2/9), as Newey and West (1994) begin, and at least horizon - 1.

    Raises:
        LstmlabError: for losses that are too few, not finite, or of different lengths.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < max(FEWEST, horizon + 1):
        raise LstmlabError(
            f"Diebold-Mariano test: losses of shapes {a.shape} and {b.shape}. Expected: two of equal length, at "
            f"least {max(FEWEST, horizon + 1)}."
        )
    apart = a - b
    if not np.isfinite(apart).all():
        raise LstmlabError(f"Diebold-Mariano test: loss {int((~np.isfinite(apart)).argmax())} is not finite.")
    n = len(apart)
    if lags is None:
        lags = max(horizon - 1, int(4 * (n / 100) ** (2 / 9)))
    lags = min(lags, n - 1)
    mean = float(apart.mean())
    error = np.sqrt(_long_run_variance(apart - mean, lags) / n)
    if error == 0:  # losses that always differ by the same amount: none at all, or certainly
        return DieboldMariano(mean, float(np.copysign(np.inf, mean)) if mean else 0.0, 0.0 if mean else 1.0, lags, n)
    correction = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = float(correction * mean / error)
    return DieboldMariano(mean, statistic, float(2 * stats.t.sf(abs(statistic), n - 1)), lags, n)


def _long_run_variance(centred: np.ndarray, lags: int) -> float:
    n, variance = len(centred), float(centred @ centred)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return variance / n

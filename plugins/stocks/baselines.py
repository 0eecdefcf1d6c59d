"""Forecasts of the next day that need no network, each fitted on the train part and then only filtered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lstmlab.errors import LstmlabError

from .features import History, har
from .forecast import Forecast

LAST, EWMA, GARCH, HAR = "last value, constant variance", "EWMA (RiskMetrics)", "GARCH(1,1)", "HAR"
DECAY = 0.94  # J.P. Morgan (1996), RiskMetrics Technical Document, for daily returns


def forecasts(past: History, stop: int, learnt: dict[str, Any]) -> dict[str, Forecast]:
    """Return every baseline's forecasts of all days; what is fitted sees the days before ``stop`` only.

    Raises:
        LstmlabError: when the package arch is missing.
    """
    squared = past.returns**2
    known = {
        LAST: np.full(len(squared), squared[1:stop].mean()),
        EWMA: _next(pd.Series(squared[1:]).ewm(alpha=1 - DECAY).mean().to_numpy(), 2),
        HAR: _next(har(past, learnt), 1),
    }
    zero, gaussian = np.zeros(len(squared)), np.full(len(squared), np.inf)
    found = {name: Forecast(zero, variance, gaussian) for name, variance in known.items()}
    mean, variance = garch(past.returns[1:], stop - 1)
    found[GARCH] = Forecast(np.full(len(squared), mean), np.r_[np.nan, variance], gaussian)
    return found


def garch(returns: np.ndarray, stop: int) -> tuple[float, np.ndarray]:
    """Return mean, and variance of each return given those before, of a GARCH(1,1) fitted before ``stop``.

    Bollerslev (1986), https://doi.org/10.1016/0304-4076(86)90063-1, by Gaussian maximum likelihood.
    """
    try:
        from arch import arch_model
    except ImportError:
        raise LstmlabError("the GARCH baseline needs the package arch: pip install 'lstmlab[stocks]'") from None
    options: dict[str, Any] = {"mean": "Constant", "vol": "GARCH", "p": 1, "q": 1, "dist": "normal", "rescale": False}
    parameters = arch_model(returns[:stop], **options).fit(disp="off", show_warning=False).params
    filtered = arch_model(returns, **options).fix(parameters)
    return float(parameters["mu"]), np.asarray(filtered.conditional_volatility) ** 2


def _next(known: np.ndarray, missing: int) -> np.ndarray:
    """Return what was known at the close before each day; the first days have nothing."""
    return np.concatenate([np.full(missing, np.nan), known[:-1]])

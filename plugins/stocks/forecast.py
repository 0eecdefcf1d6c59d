"""Mean, variance and tail of the next day's return, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .features import History

YEAR = 252  # trading days
INSIDE = 0.9  # probability of the interval of a prediction


@dataclass(frozen=True)
class Forecast:
    """For each day, mean and variance of its return in percent, forecast at the close before.

    Attributes:
        tail: degrees of freedom of Student's t; infinity: Gaussian.
    """

    mean: np.ndarray
    variance: np.ndarray
    tail: np.ndarray

    def part(self, start: int, stop: int) -> Forecast:
        """Return the forecasts of some days."""
        return Forecast(self.mean[start:stop], self.variance[start:stop], self.tail[start:stop])

    def quantile(self, probability: float) -> np.ndarray:
        """Return what the return stays below with this probability, in percent."""
        unit = stats.t.ppf(probability, self.tail) * np.sqrt(1 - 2 / self.tail)
        return self.mean + unit * np.sqrt(self.variance)


def annualised(variance: np.ndarray) -> np.ndarray:
    """Return the volatility in percent a year of a daily variance in percent squared."""
    return np.sqrt(YEAR * variance)


def tabulate(past: History, made: np.ndarray, forecast: Forecast) -> pd.DataFrame:
    """Return forecasts that were made at the close of the days ``made``, each for the day after it."""
    close = past.close[made]
    low, high = ((1 - INSIDE) / 2, (1 + INSIDE) / 2)
    columns = {
        "after": past.days[made],
        "close": close,
        "mean return (%)": forecast.mean,
        "volatility (%)": np.sqrt(forecast.variance),
        "volatility (% a year)": annualised(forecast.variance),
        f"next close, {low:.0%} quantile": close * np.exp(forecast.quantile(low) / 100),
        f"next close, {high:.0%} quantile": close * np.exp(forecast.quantile(high) / 100),
    }
    return pd.DataFrame(columns)

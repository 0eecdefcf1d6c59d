"""Diebold and Mariano's test: agreement with statsmodels, and its level and power on simulated losses."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from lstmlab.errors import LstmlabError
from lstmlab.tasks.diebold_mariano import diebold_mariano


def losses(n: int, rho: float, mean: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Losses of two forecasts whose difference is autocorrelated and has this mean."""
    noise = random.normal(size=n + 50)
    apart = np.zeros(n + 50)
    for t in range(1, n + 50):
        apart[t] = rho * apart[t - 1] + noise[t]
    common = random.chisquare(1, n)
    return common + mean + apart[50:], common


@pytest.mark.parametrize(("lags", "horizon"), [(0, 1), (4, 1), (7, 3)])
def test_the_statistic_is_that_of_a_regression_on_a_constant_with_hac_errors(lags: int, horizon: int) -> None:
    first, second = losses(150, 0.4, 0.2, np.random.default_rng(0))
    found = diebold_mariano(first, second, horizon, lags)
    ols = sm.OLS(first - second, np.ones(150))
    other = ols.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    n, h = 150, horizon
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert found.statistic == pytest.approx(float(other.tvalues[0]) * correction)
    assert found.difference == pytest.approx(float(np.mean(first - second)))
    swapped = diebold_mariano(second, first, horizon, lags)
    assert (swapped.statistic, swapped.p) == pytest.approx((-found.statistic, found.p))


def test_equal_forecasts_are_told_apart_about_as_often_as_the_level_says() -> None:
    random = np.random.default_rng(1)
    rejected = np.mean([diebold_mariano(*losses(400, 0.2, 0.0, random)).p < 0.05 for _ in range(1000)])
    assert 0.03 < rejected < 0.08


def test_autocorrelation_that_is_ignored_would_reject_far_too_often() -> None:
    random = np.random.default_rng(2)
    pairs = [losses(400, 0.5, 0.0, random) for _ in range(400)]
    ignored = np.mean([diebold_mariano(*pair, lags=0).p < 0.05 for pair in pairs])
    counted = np.mean([diebold_mariano(*pair).p < 0.05 for pair in pairs])
    assert ignored > 0.15
    assert counted < 0.12


def test_a_difference_of_a_few_standard_errors_is_found() -> None:
    random = np.random.default_rng(3)
    found = np.mean([diebold_mariano(*losses(400, 0.0, 0.2, random)).p < 0.05 for _ in range(200)])
    assert found > 0.95


def test_losses_that_never_differ_are_no_evidence() -> None:
    same = np.arange(20.0)
    assert diebold_mariano(same, same).p == 1.0
    assert diebold_mariano(same - 1, same).p == 0.0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.ones(20), np.ones(21), "of equal length"),
        (np.ones(9), np.ones(9), "at least 10"),
        (np.r_[np.ones(20), np.nan], np.ones(21), "loss 20 is not finite"),
    ],
)
def test_what_cannot_be_tested_is_refused(first: np.ndarray, second: np.ndarray, expected: str) -> None:
    with pytest.raises(LstmlabError, match=expected):
        diebold_mariano(first, second)

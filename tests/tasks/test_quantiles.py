"""Quantile forecasts: their loss and scores against oracles, and the promise of calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from lstmlab.engine import RNN
from lstmlab.tasks.forecaster import Forecaster
from lstmlab.tasks.quantiles import calibrate, coverage, crps, pinball, pinball_loss

LEVELS = [0.1, 0.5, 0.9]


def test_pinball_loss_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, quantiles = random.normal(size=(50, 4)), random.normal(size=(50, 4, 3))
    oracle = [mean_pinball_loss(truth.ravel(), quantiles[..., i].ravel(), alpha=a) for i, a in enumerate(LEVELS)]
    np.testing.assert_allclose(pinball(quantiles, truth, LEVELS).mean((0, 1)), oracle)
    assert crps(quantiles, truth, LEVELS) == pytest.approx(2 * np.mean(oracle))
    loss = pinball_loss(torch.from_numpy(quantiles), torch.from_numpy(truth), LEVELS)
    assert float(loss) == pytest.approx(2 * np.mean(oracle))


def test_missing_truth_counts_for_nothing() -> None:
    random = np.random.default_rng(0)
    truth, quantiles = random.normal(size=(20, 4)), random.normal(size=(20, 4, 3))
    holes = truth.copy()
    holes[::2] = np.nan
    assert crps(quantiles, holes, LEVELS) == pytest.approx(crps(quantiles[1::2], truth[1::2], LEVELS))
    loss = pinball_loss(torch.from_numpy(quantiles), torch.from_numpy(holes), LEVELS)
    assert float(loss) == pytest.approx(crps(quantiles[1::2], truth[1::2], LEVELS))
    assert coverage(quantiles[..., 0], quantiles[..., 2], holes) == coverage(
        quantiles[1::2, :, 0], quantiles[1::2, :, 2], truth[1::2]
    )


def test_crps_of_many_quantiles_tends_to_that_of_the_distribution() -> None:
    """The CRPS of a standard normal forecast at y = 0 is (sqrt(2) - 1) / sqrt(pi)."""
    from scipy.stats import norm

    levels = [(i + 0.5) / 999 for i in range(999)]
    quantiles = norm.ppf(levels)[None]
    assert crps(quantiles, np.zeros(1), levels) == pytest.approx((2**0.5 - 1) / np.pi**0.5, rel=1e-3)


def test_coverage_counts_what_lies_within_bounds() -> None:
    truth = np.array([[0.0, 1.0, 2.0, 3.0, np.nan]])
    assert coverage(np.zeros((1, 5)), np.full((1, 5), 2.0), truth) == 75.0


def raw(n: int, horizon: int, spread: float) -> np.ndarray:
    return np.broadcast_to(np.array([-spread, 0.0, spread]), (n, horizon, 3)).copy()


@pytest.mark.parametrize("spread", [0.0, 0.3, 5.0])
def test_calibrated_quantiles_reach_their_levels_whatever_they_were(spread: float) -> None:
    truth = np.random.default_rng(0).standard_t(4, size=(4000, 3))
    moved = calibrate(raw(4000, 3, spread), truth, LEVELS, 0.05)[1000:]
    below = (truth[1000:, :, None] <= moved).mean((0, 1))
    np.testing.assert_allclose(below[[0, 2]], [0.1, 0.9], atol=0.02)


def test_calibration_follows_a_change_of_spread() -> None:
    truth = np.random.default_rng(0).normal(size=(4000, 1)) * np.r_[np.ones(2000), np.full(2000, 3.0)][:, None]
    late = slice(2200, None)
    before = raw(4000, 1, 1.28)[late]
    after = calibrate(raw(4000, 1, 1.28), truth, LEVELS, 0.05)[late]
    assert coverage(before[..., 0], before[..., 2], truth[late]) < 40
    assert coverage(after[..., 0], after[..., 2], truth[late]) == pytest.approx(80, abs=3)


@pytest.mark.parametrize("step", [0, 2])
def test_calibration_uses_no_truth_before_it_is_known(step: int) -> None:
    """The truth of step h from origin i is known at origin i + h + 1, and counts from there on."""
    truth = np.random.default_rng(0).normal(size=(60, 3))
    changed = truth.copy()
    changed[30, step] = 50
    a, b = (calibrate(raw(60, 3, 0.1), t, LEVELS, 0.05) for t in (truth, changed))
    assert (a != b).any(axis=(1, 2)).nonzero()[0][0] == 30 + step + 1


@pytest.mark.parametrize("seed", range(5))
def test_calibrated_quantiles_stay_where_truth_has_been(seed: int) -> None:
    """Also where levels cross on the way: none runs away by more than the steps until the next truth is known."""
    random = np.random.default_rng(seed)
    bias = np.repeat(random.choice([-2.0, 2.0], 20), 100)
    truth = np.clip(bias + random.normal(size=2000), -4, 4)[:, None].repeat(3, axis=1)
    levels, rate = [0.1, 0.25, 0.5, 0.75, 0.9], 0.2
    moved = calibrate(np.zeros((2000, 3, 5)), truth, levels, rate)
    assert np.abs(moved).max() <= 4 + 4 * rate * 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1), st.floats(0, 0.5))
def test_calibrated_quantiles_never_cross_and_keep_their_median(seed: int, rate: float, missing: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(2, 1, size=(40, 3))
    truth[random.random(truth.shape) < missing] = np.nan
    quantiles = np.sort(random.normal(size=(40, 3, 5)))
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    moved = calibrate(quantiles, truth, levels, rate)
    assert (np.diff(moved) >= 0).all()
    np.testing.assert_array_equal(moved[..., 2], quantiles[..., 2])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_a_models_quantiles_are_sorted(seed: int) -> None:
    torch.manual_seed(seed)
    model = Forecaster(RNN("vanilla", 5, 4, batch_first=True), horizon=3, levels=5, references=2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    output, _ = model(torch.randn(7, 9, 5))
    assert output.shape == (7, 3, 5)
    assert (output.diff(dim=-1) >= 0).all()

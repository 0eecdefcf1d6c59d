"""Forecasts as quantiles: their loss, their scores, and what puts their coverage right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lstmlab.errors import LstmlabError


def check_levels(levels: Sequence[float]) -> None:
    """Refuse levels that do not go up, miss the median, or leave no interval whose coverage could be told.

    Raises:
        LstmlabError: with an example that is allowed.
    """
    good = (
        len(levels) > 0
        and all(0 < level < 1 for level in levels)
        and all(a < b for a, b in pairwise(levels))
        and 0.5 in levels
        and np.allclose(np.add(levels, levels[::-1]), 1)
    )
    if not good:
        raise LstmlabError(
            f"task.quantiles={list(levels)}: expected levels between 0 and 1 that go up, with 0.5 among them, "
            "and as far below it as above, such as [0.1, 0.5, 0.9]; [0.5] for points alone"
        )


def pinball_loss(output: Tensor, targets: Tensor, levels: Sequence[float]) -> Tensor:
    """Return twice the mean pinball loss, which is the absolute error for the median.

    Koenker and Bassett (1978), https://doi.org/10.2307/1913643.

    Args:
        output: quantiles (batch, horizon, levels).
        targets: truth (batch, horizon); NaN where it is missing, which counts for nothing.
        levels: of the quantiles.
    """
    known = ~torch.isnan(targets)
    level = output.new_tensor(levels)
    error = torch.where(known, targets, 0.0)[..., None] - output
    losses = 2 * torch.maximum(level * error, (level - 1) * error).mean(-1) * known
    return losses.sum() / known.sum().clamp(min=1)


def pinball(quantiles: np.ndarray, truth: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the pinball loss (..., levels) of each quantile; NaN where the truth is missing."""
    error = truth[..., None] - quantiles
    level = np.asarray(levels)
    return np.maximum(level * error, (level - 1) * error)


def crps(quantiles: np.ndarray, truth: np.ndarray, levels: Sequence[float]) -> float:
    """Return twice the mean pinball loss over the levels, which tends to the CRPS with many of them.

    Laio and Tamea (2007), https://doi.org/10.5194/hess-11-1267-2007. In the unit of the truth; that of a
    median alone is its mean absolute error.
    """
    return float(2 * np.nanmean(pinball(quantiles, truth, levels)))


def coverage(low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of known truths between ``low`` and ``high``, in percent."""
    known = ~np.isnan(truth)
    return float(100 * np.mean((truth >= low)[known] & (truth <= high)[known]))


def calibrate(quantiles: np.ndarray, truth: np.ndarray, levels: list[float], rate: float) -> np.ndarray:
    """Return the quantiles (origins, horizon, levels) moved by what their errors taught up to each origin.

    Quantile tracking (Angelopoulos, Candès and Tibshirani 2023, https://arxiv.org/abs/2307.16895; Gibbs and
    Candès 2021): each time that a truth becomes known, the quantile of its step ahead moves up if the truth was
    above it and down if below, in such steps that in the long run as many are below as its level says,
    whatever the series does. The median stays, and no quantile crosses it.

    Args:
        quantiles: forecasts of one series from consecutive origins.
        truth: (origins, horizon), NaN where it is missing or not known yet.
        levels: of the quantiles.
        rate: size of the steps, in mean absolute errors of the step ahead so far.
    """
    middle, level = levels.index(0.5), np.asarray(levels)
    errors = np.abs(truth - quantiles[..., middle])
    moved, shift = np.empty_like(quantiles), np.zeros(quantiles.shape[1:])
    tracks = np.empty_like(quantiles)  # before sorting: each level learns from its own, or two that crossed diverge
    total, count = np.zeros(truth.shape[1]), np.zeros(truth.shape[1])
    for origin in range(len(quantiles)):
        tracks[origin] = quantiles[origin] + shift
        moved[origin] = _around_median(tracks[origin], quantiles[origin, :, middle], middle)
        # Step h of the forecast made h origins ago is the value after this origin: known at the next one.
        step = np.arange(min(origin + 1, truth.shape[1]))
        step = step[~np.isnan(truth[origin - step, step])]
        then = origin - step
        total[step] += errors[then, step]
        count[step] += 1
        below = truth[then, step][:, None] <= tracks[then, step]
        shift[step] += rate * (total[step] / count[step])[:, None] * (level - below)
    return moved


def _around_median(quantiles: np.ndarray, median: np.ndarray, middle: int) -> np.ndarray:
    """Return quantiles (horizon, levels) sorted, those below at most and those above at least the median."""
    low = np.minimum(np.sort(quantiles[:, :middle]), median[:, None])
    high = np.maximum(np.sort(quantiles[:, middle + 1 :]), median[:, None])
    return np.concatenate([low, median[:, None], high], axis=1)

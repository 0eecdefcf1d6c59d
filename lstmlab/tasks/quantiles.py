"""Forecasts as quantiles: their loss, their scores, and what puts their coverage right."""

from __future__ import annotations

from collections.abc import Sequence

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
        and all(a < b for a, b in zip(levels, levels[1:], strict=False))
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


def calibrate(quantiles: np.ndarray, truth: np.ndarray, levels: list[float], memory: int) -> np.ndarray:
    """Return the quantiles (origins, horizon, levels) moved so that they would have been right lately.

    Each quantile but the median moves by the quantile, of its level, of its errors at the latest ``memory``
    origins whose truth was known when the forecast was made. That is split-conformal prediction (Romano,
    Patterson and Candès 2019, https://arxiv.org/abs/1905.03222), with a calibration set that moves along in
    time. None crosses the median. Where fewer than a quarter of
    ``memory`` are known, quantiles stay as they are.

    Args:
        quantiles: forecasts of one series, from consecutive origins.
        truth: (origins, horizon), NaN where it is missing or not known yet.
        levels: of the quantiles.
        memory: how many origins count.
    """
    import pandas as pd

    moved = quantiles.copy()
    for at, level in enumerate(levels):
        if level == 0.5:
            continue
        errors = pd.DataFrame(truth - quantiles[..., at])
        lately = errors.rolling(memory, min_periods=max(1, memory // 4)).quantile(level)
        for step in lately:  # the truth of step h is known h + 1 origins later
            moved[:, step, at] += lately[step].shift(step + 1).fillna(0).to_numpy()
    middle = levels.index(0.5)
    median = quantiles[..., middle : middle + 1]
    low = np.minimum(np.sort(moved[..., :middle]), median)
    high = np.maximum(np.sort(moved[..., middle + 1 :]), median)
    return np.concatenate([low, median, high], axis=-1)

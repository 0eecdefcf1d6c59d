"""From errors to scores: how improbable the recent errors are among those of normal times."""

from __future__ import annotations

import math

import numpy as np
import torch


def log_tail(z: np.ndarray) -> np.ndarray:
    """Return -log10 of the upper tail probability of the standard normal distribution at ``z``."""
    return -torch.special.log_ndtr(torch.from_numpy(-np.asarray(z, float))).numpy() / math.log(10)


def trailing_mean(x: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of the last ``width`` values up to each (time,), of fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(x)])
    stop = np.arange(1, len(x) + 1)
    start = np.maximum(stop - width, 0)
    return (total[stop] - total[start]) / (stop - start)


def anomaly_likelihood(errors: np.ndarray, reference: np.ndarray, smooth: int, memory: int) -> np.ndarray:
    """Return the score of each error: -log10 of the tail probability of the recent mean error.

    The anomaly likelihood of Ahmad et al. (2017), https://doi.org/10.1016/j.neucom.2017.04.070, section 3.3:
    a Gaussian is fitted to mean errors of the past, and the score says how far in its upper tail the mean of
    the last ``smooth`` errors lies. No score depends on what comes after it, and none on a label.

    Args:
        errors: of consecutive times (time,), not negative.
        reference: errors of normal times, which no weight was fitted to; they stand before ``errors``.
        smooth: how many recent errors are averaged.
        memory: 0: the Gaussian is that of ``reference`` for ever. Otherwise it is that of the last ``memory``
            mean errors before the one that is scored, ``reference`` being the first of them, so that it
            follows a sensor that changes slowly.
    """
    n = len(reference)
    means = trailing_mean(np.concatenate([reference, errors]), smooth)
    if not memory:
        return log_tail((means[n:] - means[:n].mean()) / max(means[:n].std(), 1e-9))
    width, stop = max(memory, n), np.arange(len(means))
    mean, deviation = window_moments(means, np.maximum(stop - width, 0), stop)
    return log_tail((means - mean)[n:] / np.maximum(deviation, 1e-9)[n:])


def windowed_gaussian(values: np.ndarray, size: int = 6400, step: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each value from the mean of those before it, and the same in their standard deviations.

    NAB's baseline of this name (nab/detectors/gaussian/windowedGaussian_detector.py) with its sizes: the mean is
    that of all values so far until there are ``size``, then of a window that moves on every ``step`` values.
    """
    at = np.arange(len(values))
    start = np.maximum(at - size, 0) // step * step
    mean, deviation = window_moments(values, start, np.minimum(at, start + size))
    distance = np.where(at > 0, np.abs(values - mean), 0.0)
    return distance, distance / np.where(deviation < 1e-9 * np.abs(values).max(), 1e-6, deviation)


def threshold(scores: np.ndarray, rate: float) -> float:
    """Return the score above which there is an alarm, from ``scores`` of normal data (time,).

    That is the score which the Gaussian tail gives to the false alarm rate ``rate``; or, where errors have heavier
    tails than that, the score which a share ``rate`` of the normal data exceeds: the largest, if they are few.
    """
    return max(-math.log10(rate), float(np.quantile(scores, 1 - rate, method="higher")))


def window_moments(x: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of ``x[start:stop]`` for each pair; 0 and 0 of nothing."""
    offset = x.mean()  # sums of squares lose digits where the mean is large
    sums = [np.concatenate([[0.0], np.cumsum((x - offset) ** k)]) for k in (1, 2)]
    count = np.maximum(stop - start, 1)
    mean, square = ((s[stop] - s[start]) / count for s in sums)
    return mean + offset, np.sqrt(np.maximum(square - mean**2, 0))

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
        past = means[:n]
        return log_tail((means[n:] - past.mean()) / max(past.std(), 1e-9))
    return log_tail((means - _rolling(means, max(memory, n))[0])[n:] / _rolling(means, max(memory, n))[1][n:])


def _rolling(x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the ``width`` values before each (time,)."""
    centred = x - x.mean()  # sums of squares lose digits where the mean is large
    sums = [np.concatenate([[0.0], np.cumsum(centred**k)]) for k in (1, 2)]
    stop = np.arange(len(x))
    start = np.maximum(stop - width, 0)
    count = np.maximum(stop - start, 1)
    mean, square = ((s[stop] - s[start]) / count for s in sums)
    return mean + x.mean(), np.sqrt(np.maximum(square - mean**2, 1e-18))

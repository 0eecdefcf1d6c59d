"""How well alarms meet labelled ranges: range-based precision and recall, and the NAB score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Range = tuple[int, int]  # first index, and last plus one


@dataclass(frozen=True)
class Profile:
    """What NAB's application profiles charge: https://github.com/numenta/NAB, config/profiles.json."""

    hit: float
    false_alarm: float
    miss: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low FP": Profile(1.0, 0.22, 1.0),
    "low FN": Profile(1.0, 0.11, 2.0),
}


def ranges(flags: np.ndarray) -> list[Range]:
    """Return the runs of True in ``flags`` (time,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def range_scores(truth: Sequence[np.ndarray], alarms: Sequence[np.ndarray], existence: float) -> dict[str, float]:
    """Return precision, recall and F1 of ranges, over all series.

    Tatbul et al. (2018), https://arxiv.org/abs/1803.03639, equations 2 to 6, with a flat positional bias and
    no penalty for a range that is met in several pieces: precision is the mean, over ranges of alarms, of the
    share that is truly anomalous; recall is the mean, over true ranges, of ``existence`` if there is any alarm
    within, plus ``1 - existence`` times the share that is covered. Without alarms precision is 1, without true
    ranges recall is 1: nothing was said wrong, nothing was missed.

    Args:
        truth: for each series which times are anomalous (time,).
        alarms: for each series when the detector says so (time,).
        existence: the weight alpha of noticing a range at all.
    """
    recalls = [
        existence * bool(a[s:e].any()) + (1 - existence) * float(a[s:e].mean())
        for t, a in zip(truth, alarms, strict=True)
        for s, e in ranges(t)
    ]
    precisions = [float(t[s:e].mean()) for t, a in zip(truth, alarms, strict=True) for s, e in ranges(a)]
    precision = float(np.mean(precisions)) if precisions else 1.0
    recall = float(np.mean(recalls)) if recalls else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"range F1": f1, "precision": precision, "recall": recall}


def worth(windows: Sequence[Range], length: int, profile: Profile) -> np.ndarray:
    """Return what an alarm at each time is worth (length,): up to ``hit`` in a window, negative elsewhere.

    Lavin and Ahmad (2015), https://arxiv.org/abs/1510.03336, equation 1, with positions as NAB's reference
    implementation counts them (nab/sweeper.py): 2 / (1 + exp(5 y)) - 1, where y goes from -1 at the first row of
    a window to -1/width at its last, then on from 1/(width - 1), and is 3 or more far behind any window or before the
    first. Values in windows are divided by the one at y = -1, so that the earliest alarm is worth ``hit``.
    """
    value, at = np.full(length, -profile.false_alarm), np.arange(length)
    for (start, stop), following in zip(windows, [*(w[0] for w in windows[1:]), length], strict=True):
        inside, behind = at[start:stop], at[stop:following]
        value[start:stop] = profile.hit * _sigmoid((inside - stop) / (stop - start)) / _sigmoid(np.array(-1.0))
        y = (behind - (stop - 1)) / max(stop - 1 - start, 1)
        value[stop:following] = profile.false_alarm * np.where(y >= 3, -1.0, _sigmoid(y))
    return value


def _sigmoid(y: np.ndarray) -> np.ndarray:
    return 2 / (1 + np.exp(5 * np.minimum(y, 3))) - 1


def nab_sum(windows: Sequence[Range], alarms: np.ndarray, profile: Profile) -> float:
    """Return a series' raw NAB score: the best alarm of each window, less misses and false alarms.

    Args:
        windows: within the scored rows, which ``alarms`` are.
        alarms: when the detector gives an alarm (time,).
        profile: what hits, misses and false alarms are worth.
    """
    value = worth(windows, len(alarms), profile)
    within = np.zeros(len(alarms), bool)
    total = 0.0
    for start, stop in windows:
        within[start:stop] = True
        hits = value[start:stop][alarms[start:stop]]
        total += float(hits.max()) if len(hits) else -profile.miss
    return total + float(value[alarms & ~within].sum())


def nab_score(truth: Sequence[np.ndarray], alarms: Sequence[np.ndarray], profile: Profile) -> float:
    """Return the NAB score of all series: 0 for a detector that never speaks, 100 for a perfect one, or less than 0.

    Lavin and Ahmad (2015), equation 2. Without any window it is 100 for silence, else 0.
    """
    windows = [ranges(t) for t in truth]
    count = sum(map(len, windows))
    if not count:
        return 0.0 if any(a.any() for a in alarms) else 100.0
    raw = sum(nab_sum(w, a, profile) for w, a in zip(windows, alarms, strict=True))
    return 100 * (raw + profile.miss * count) / ((profile.hit + profile.miss) * count)


def best_nab_score(truth: Sequence[np.ndarray], scores: Sequence[np.ndarray], profile: Profile) -> tuple[float, float]:
    """Return the NAB score under the threshold that is best on these very labels, and that threshold.

    That is how NAB's own scoreboard is made: an alarm is a score that reaches the threshold. No detector can
    know this threshold, so it is never used to detect.
    """
    levels = np.concatenate([[np.inf], np.unique(np.concatenate(scores))[::-1]])
    total, count = np.zeros(len(levels)), 0
    for t, s in zip(truth, scores, strict=True):
        windows, value = ranges(t), worth(ranges(t), len(t), profile)
        count += len(windows)
        for a, b in windows:  # the best alarm so far, as the threshold falls
            order = np.argsort(-s[a:b])
            total += _reached(s[a:b][order], np.maximum.accumulate(value[a:b][order]), -profile.miss, levels)
        order = np.argsort(-s[~t])
        total += _reached(s[~t][order], np.cumsum(value[~t][order]), 0.0, levels)
    best = int(np.argmax(total))
    return 100 * (float(total[best]) + profile.miss * count) / ((profile.hit + profile.miss) * count), float(
        levels[best]
    )


def _reached(falling: np.ndarray, values: np.ndarray, before: float, levels: np.ndarray) -> np.ndarray:
    """Return for each level the value at the last of the ``falling`` scores that reach it, else ``before``."""
    return np.concatenate([[before], values])[np.searchsorted(-falling, -levels, side="right")]

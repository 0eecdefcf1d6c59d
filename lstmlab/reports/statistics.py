"""Intervals and paired tests: what a table of runs supports, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests


@dataclass(frozen=True)
class Comparison:
    """Two cells on one task, compared by seed.

    Attributes:
        difference: mean of ``first - second`` over the seeds that both finished.
        pairs: number of those seeds.
        p: two-sided p-value, corrected for all comparisons of the study (Holm 1979).
    """

    task: str
    first: str
    second: str
    difference: float
    pairs: int
    p: float


def interval(values: pd.Series | np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the mean and the half-width of its t interval (NaN below two values)."""
    x = np.asarray(values, dtype="float64")
    x = x[np.isfinite(x)]
    if len(x) == 0:
        return float("nan"), float("nan")
    if len(x) == 1:
        return float(x[0]), float("nan")
    half = stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean()), float(half)


def compare(table: pd.DataFrame) -> list[Comparison]:
    """Test every pair of cells on every task with a t-test paired by seed, Holm-corrected over all.

    Pairs with fewer than two common seeds have p = NaN and do not count in the correction.
    """
    found = []
    for task, rows in table[table.status == "done"].groupby("task", sort=False):
        wide = rows.pivot(index="seed", columns="cell", values="value")
        for first, second in combinations(rows.cell.unique(), 2):
            both = wide[[first, second]].dropna()
            difference = both[first] - both[second]
            found.append(Comparison(str(task), first, second, float(difference.mean()), len(both), _paired(difference)))
    tested = [c for c in found if np.isfinite(c.p)]
    corrected = multipletests([c.p for c in tested], method="holm")[1] if tested else []
    p_of = dict(zip(tested, corrected, strict=True))
    return [Comparison(c.task, c.first, c.second, c.difference, c.pairs, float(p_of.get(c, c.p))) for c in found]


def _paired(difference: pd.Series) -> float:
    if len(difference) < 2:
        return float("nan")
    if difference.std() == 0:  # the t statistic is 0/0, or infinite for a constant shift
        return 1.0 if difference.iloc[0] == 0 else 0.0
    return float(stats.ttest_1samp(difference, 0).pvalue)

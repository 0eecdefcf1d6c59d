"""Intervals and paired tests agree with textbook values and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lstmlab.reports.statistics import compare, interval


def table(values: dict[str, list[float]], task: str = "t") -> pd.DataFrame:
    rows = [
        {"task": task, "cell": c, "seed": s, "status": "failed" if math.isnan(v) else "done", "value": v}
        for c, vs in values.items()
        for s, v in enumerate(vs)
    ]
    return pd.DataFrame(rows)


def test_the_interval_is_student_s() -> None:
    """Student's sleep data, group 1: mean 0.75, 95 % interval -0.53 to 2.03."""
    sleep = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    mean, half = interval(sleep, 0.95)
    assert mean == pytest.approx(0.75)
    assert (mean - half, mean + half) == pytest.approx((-0.5297804, 2.0297804))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert interval(np.array([2.0]), 0.95)[0] == 2.0
    assert math.isnan(interval(np.array([2.0]), 0.95)[1])
    assert math.isnan(interval(np.array([np.nan]), 0.95)[0])


def test_cells_are_compared_by_seed_with_a_correction_over_all_tests() -> None:
    random = np.random.default_rng(0)
    values = {c: list(random.normal(m, 1, 8)) for c, m in {"a": 0, "b": 0.1, "c": 3}.items()}
    found = {(c.first, c.second): c for c in compare(table(values))}
    raw = {pair: stats.ttest_rel(values[pair[0]], values[pair[1]]).pvalue for pair in found}
    ordered = sorted(raw, key=lambda k: raw[k])
    running = 0.0
    for rank, pair in enumerate(ordered):  # Holm's step-down, written out
        running = max(running, min(1.0, raw[pair] * (len(raw) - rank)))
        assert found[pair].p == pytest.approx(running)
        assert found[pair].difference == pytest.approx(np.mean(values[pair[0]]) - np.mean(values[pair[1]]))


def test_only_seeds_that_both_cells_finished_are_paired() -> None:
    (found,) = compare(table({"a": [1.0, 2.0, math.nan, 4.0], "b": [1.5, math.nan, 3.0, 4.1]}))
    assert found.pairs == 2
    assert found.difference == pytest.approx(-0.3)


@pytest.mark.parametrize(("values", "p"), [({"a": [1, 2, 3], "b": [1, 2, 3]}, 1.0), ({"a": [1], "b": [2]}, math.nan)])
def test_no_difference_is_no_evidence_and_one_seed_is_no_test(values: dict[str, list[float]], p: float) -> None:
    (found,) = compare(table(values))
    assert found.p == pytest.approx(p, nan_ok=True)

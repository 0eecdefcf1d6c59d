"""Kneser and Ney's model: a distribution, and the numbers of the paper's formulas worked out naively."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlab.tasks.kneser_ney import KneserNey

TEXT = st.lists(st.integers(0, 3), min_size=8, max_size=80)


def naive(text: list[int], symbols: int, order: int, context: tuple[int, ...], symbol: int) -> float:
    """Chen and Goodman (1998), equations 24 to 26, over dictionaries, one string at a time."""
    if not order:
        return 1 / symbols
    shorter = naive(text, symbols, order - 1, context[1:], symbol)
    grams = Counter(tuple(text[i : i + order]) for i in range(len(text) - order + 1))
    if order < naive.highest:  # type: ignore[attr-defined]
        longer = {tuple(text[i : i + order + 1]) for i in range(len(text) - order)}
        grams = Counter(gram[1:] for gram in longer) + Counter()
    times = Counter(grams.values())
    y = times[1] / (times[1] + 2 * times[2]) if times[1] or times[2] else 0
    steps = {k: k - (k + 1) * y * times[k + 1] / times[k] if times[k] else 0 for k in (1, 2, 3)}
    taken = {k: step if 0 < step <= k else k / 2 for k, step in steps.items()}
    after = {gram: n for gram, n in grams.items() if gram[:-1] == context}
    total = sum(after.values())
    if not total:
        return shorter
    left = sum(taken[min(n, 3)] for n in after.values())
    count = after.get((*context, symbol), 0)
    return ((count - taken[min(count, 3)] if count else 0) + left * shorter) / total


@given(TEXT, st.integers(1, 4), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_it_is_that_of_the_formulas(text: list[int], order: int, asked: list[int]) -> None:
    naive.highest = order  # type: ignore[attr-defined]
    model = KneserNey(4, order).fit(np.array(text))
    found = model.probabilities(np.array(asked))
    assert len(found) == len(asked) - order + 1
    expected = [naive(text, 4, order, tuple(asked[i : i + order - 1]), asked[i + order - 1]) for i in range(len(found))]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(TEXT, st.integers(1, 4), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_it_is_a_distribution(text: list[int], order: int, context: list[int]) -> None:
    model = KneserNey(4, order).fit(np.array(text))
    before = context[3 - (order - 1) :] if order > 1 else []
    assert sum(model.probabilities(np.array([*before, s]))[0] for s in range(4)) == pytest.approx(1)


def test_nothing_is_impossible_however_often_all_of_the_train_text_is_repeated() -> None:
    text = np.tile([0, 1, 2, 1, 0, 2], 50)
    assert KneserNey(3, 6).fit(text).probabilities(np.array([0, 1, 2, 1, 0, 0])).min() > 0


def test_longer_strings_are_used_where_they_help() -> None:
    text = np.tile([0, 0, 1, 0, 1, 1, 2], 60)
    costs = [-np.log(KneserNey(3, n).fit(text).probabilities(text[:70])).mean() for n in (1, 2, 3, 4)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.1 < 0.9 < costs[0]

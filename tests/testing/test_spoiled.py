"""Altered data keep what came before, differ after it, and stay possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstmlab.data.tables import TimeTable
from lstmlab.testing import spoiled


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def frame() -> pd.DataFrame:
    draw, days = random(), pd.date_range("2020", periods=100)
    low = draw.uniform(1, 2, 100)
    columns = {"low": low, "high": low + draw.uniform(0, 1, 100), "label": (low > 1.5) * 1.0, "month": days.month}
    return pd.DataFrame(columns, index=days)


def test_rows_of_a_table() -> None:
    raw = frame()
    before = raw.copy()
    new = spoiled(raw, 0.2, random())
    pd.testing.assert_frame_equal(raw, before)
    pd.testing.assert_frame_equal(new[:81], raw[:81])
    assert (new.index == raw.index).all()
    assert (new.dtypes == raw.dtypes).all()
    assert (new.low[81:] != raw.low[81:]).all()
    assert new.low[81:].mean() > 1.5 * raw.low[81:].mean(), "statistics of the whole change"
    assert (new.high >= new.low).all(), "what holds within a row goes on to hold"
    assert {*new.label} == {0.0, 1.0}
    assert {*new.month} <= {*range(1, 13)}


def test_a_series_keeps_its_name_and_gaps() -> None:
    raw = frame().low.copy()
    raw.iloc[90] = np.nan
    new = spoiled(raw, 0.2, random())
    assert new.name == "low"
    assert new.isna().sum() == 1


def test_each_series_of_a_time_table_but_not_what_is_known() -> None:
    raw = TimeTable({"a": frame(), "b": frame()[:50]}, "low", "low (m)", "m", known=("month",))
    new = spoiled(raw, 0.2, random())
    for name, cut in (("a", 81), ("b", 41)):
        pd.testing.assert_frame_equal(new.series[name][:cut], raw.series[name][:cut])
        assert (new.series[name].low[cut:] != raw.series[name].low[cut:]).all()
        assert (new.series[name].month == raw.series[name].month).all()


def test_text_gets_symbols_that_it_never_had() -> None:
    raw = "abcde" * 200
    new = spoiled(raw, 0.1, random())
    assert new[:901] == raw[:901]
    assert len(new) == len(raw)
    assert {*new} - {*raw}


@pytest.mark.parametrize(
    "train",
    [["a", "b"], np.arange(4), (np.arange(3), np.arange(3) + 10), pd.DataFrame({"x": [1, 2, 3]})],
    ids=["list", "array", "inputs and targets", "table"],
)
def test_splits_of_a_dict_are_filled_with_train_examples(train: Any) -> None:
    new = spoiled({"train": train, "test": ["c"] * 5}, 0.1, random())
    assert new["train"] is train
    drawn = new["test"]
    if isinstance(train, tuple):
        assert (drawn[1] == drawn[0] + 10).all()
        drawn = drawn[0]
    assert len(drawn) == 5
    assert {*np.ravel(drawn)} <= {*np.ravel(train[0] if isinstance(train, tuple) else train)}


def test_what_is_unknown_is_refused() -> None:
    for raw in (3.0, {"a": [1]}, {"train": {1: 2}, "test": [1]}):
        with pytest.raises(TypeError):
            spoiled(raw, 0.1, random())

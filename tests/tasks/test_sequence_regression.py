"""The adding problem, as Hochreiter and Schmidhuber's experiment asks for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lstmlab.data.generated import draw

from lstmlab import registry
from lstmlab.config import check, compose


@given(st.integers(1, 20), st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_the_target_is_the_sum_of_one_marked_value_of_each_half(count: int, length: int, seed: int) -> None:
    inputs, targets = draw(count, length, np.random.default_rng(seed))
    values, marks = inputs[..., 0], inputs[..., 1]
    assert ((values >= 0) & (values < 1)).all()
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    np.testing.assert_allclose((values * marks).sum(1), targets, rtol=1e-6)


def test_the_constant_predictor_has_an_error_of_one_sixth() -> None:
    task = registry.task.get("adding")(check(compose(["task=adding", "task.samples=200000"])).run.task)
    assert task.baselines("test")["constant 1"]["MSE"] == pytest.approx(1 / 6, abs=2e-3)


def test_the_length_can_be_overridden_and_the_test_set_is_fixed() -> None:
    make = registry.task.get("adding")
    task = make(check(compose(["task=adding", "task.length=80", "task.samples=30"])).run.task)
    first, again = next(task.batches("test", 30)), next(task.batches("test", 30))
    assert first.inputs.shape == (30, 80, 2)
    assert (first.inputs == again.inputs).all()
    validation = next(task.batches("validation", 30))
    assert not (first.inputs == validation.inputs).all()
    assert "Generated" in task.notes()[0]

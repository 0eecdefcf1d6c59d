"""Generated tasks: fixed tests, fresh training, and answers that the problems' definitions ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from torch import nn

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.tasks.labelling import UNCOUNTED

PROBLEMS = ("adding", "copying", "temporal_order", "parity")
sizes = given(st.integers(1, 20), st.integers(20, 60), st.integers(0, 2**32 - 1))


def make(name: str, *overrides: str) -> Any:
    return registry.task.get(name)(check(compose([f"task={name}", "task.samples=200", *overrides])).run.task)


def draw(name: str, count: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    drawn: tuple[np.ndarray, np.ndarray] = registry.dataset.get(name)().load()(
        count, length, np.random.default_rng(seed)
    )
    return drawn


@sizes
def test_adding_asks_for_the_sum_of_one_marked_value_of_each_half(count: int, length: int, seed: int) -> None:
    inputs, targets = draw("adding", count, length, seed)
    values, marks = inputs[..., 0], inputs[..., 1]
    assert ((values >= 0) & (values < 1)).all()
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    np.testing.assert_allclose((values * marks).sum(1), targets, rtol=1e-6)


@sizes
def test_copying_asks_for_the_first_ten_symbols_after_the_pause(count: int, length: int, seed: int) -> None:
    inputs, targets = draw("copying", count, length, seed)
    assert inputs.shape == targets.shape == (count, length + 20)
    assert (inputs[:, :10] < 8).all()
    assert (inputs[:, 10 : length + 9] == 8).all()
    assert (inputs[:, length + 9] == 9).all()
    assert (inputs[:, length + 10 :] == 8).all()
    assert (targets[:, :-10] == UNCOUNTED).all()
    assert (targets[:, -10:] == inputs[:, :10]).all()


@sizes
def test_temporal_order_asks_for_the_order_of_the_two_marks(count: int, length: int, seed: int) -> None:
    inputs, targets = draw("temporal_order", count, length, seed)
    symbols = inputs.argmax(2)
    assert (inputs.sum(2) == 1).all()
    for row, target in zip(symbols, targets, strict=True):
        first, second = [s for s in row if s in (4, 5)]
        assert target == 2 * (first == 5) + (second == 5)
        assert (row[0], row[-1]) == (6, 7)


@sizes
def test_parity_asks_whether_the_ones_so_far_are_odd(count: int, length: int, seed: int) -> None:
    bits, targets = draw("parity", count, length, seed)
    state = np.zeros(count, dtype=bits.dtype)
    for step in range(length):
        state ^= bits[:, step]
        assert (targets[:, step] == state).all()


@pytest.mark.parametrize("name", PROBLEMS)
def test_test_and_validation_never_change_and_training_never_repeats(name: str) -> None:
    task = make(name, "task.length=30", "task.epoch=100")
    test, again, validation = (next(task.batches(s, 50)).inputs for s in ("test", "test", "validation"))
    assert torch.equal(test, again)
    assert not torch.equal(test, validation)
    random = np.random.default_rng(0)
    assert not torch.equal(*(next(task.batches("train", 50, random)).inputs for _ in range(2)))
    assert "Generated" in task.notes()[0]


def test_the_constant_predictor_has_an_error_of_one_sixth() -> None:
    task = make("adding", "task.samples=200000")
    assert task.baselines("test")["constant"]["MSE"] == pytest.approx(1 / 6, abs=2e-3)


class Fixed(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> tuple[torch.Tensor, None]:
        shape = (len(inputs), *self.answer.shape) if self.answer.dim() == 1 else (*inputs.shape[:2], -1)
        return self.answer.expand(shape), None


def test_accuracy_cross_entropy_and_confusion_are_those_of_scikit_learn() -> None:
    task = make("temporal_order")
    logits = torch.tensor([0.1, 0.5, -0.3, 0.2])
    labels, guess = task.labels("test"), np.full(200, 1)
    scores = task.evaluate(Fixed(logits), "test")
    assert scores["accuracy"] == pytest.approx(100 * accuracy_score(labels, guess))
    p = np.tile(logits.softmax(0).numpy(), (200, 1))
    assert scores["cross-entropy"] == pytest.approx(log_loss(labels, p, labels=range(4)), rel=1e-5)
    np.testing.assert_array_equal(task.confusion(Fixed(logits), "test"), confusion_matrix(labels, guess))


def test_steps_that_do_not_count_do_not_count() -> None:
    """A model that always answers 3 is right at one step in eight of the ten that count."""
    task = make("copying")
    scores = task.evaluate(Fixed(torch.eye(8)[None, 3:4]), "test")
    _, targets = task.draw("test")
    assert scores["accuracy"] == pytest.approx(100 * (targets[:, -10:] == 3).mean())


def test_a_guess_without_memory_is_right_as_often_as_chance_allows() -> None:
    assert make("copying").baselines("test")["guess"]["accuracy"] == pytest.approx(12.5, abs=2)
    assert make("parity").baselines("test")["guess"]["accuracy"] == pytest.approx(50, abs=5)

"""The training loop: same numbers again, best weights kept, gradients clipped, failures explained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY
from torch import nn

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import TrainingError
from lstmlab.schema import RunConfig
from lstmlab.studies.budget import build
from lstmlab.tasks import Metric, Task
from lstmlab.training import Fit, deterministic, fit


def config(*overrides: str) -> RunConfig:
    return check(compose([*TINY, *overrides])).run


def train(run: RunConfig) -> tuple[Task, nn.Module, Fit]:
    task = registry.task.get(run.task.name)(run.task)
    with deterministic(run.seed, run.train.threads):
        model = build(task, run.cell, run.engine)
        return task, model, fit(task, model, run.train, np.random.default_rng(run.seed))


def losses(done: Fit) -> list[float]:
    return [row["loss"] for row in done.history if row["split"] == "train"]


@pytest.mark.parametrize("task", ["adding", "language_model"])
def test_the_same_seed_gives_the_same_numbers_to_the_last_bit(task: str) -> None:
    more = [] if task == "adding" else ["task=language_model", "task.hidden_size=16", "train.steps=3"]
    overrides = [*(TINY if task == "adding" else []), *more]
    run = check(compose(overrides)).run
    (_, first, a), (_, second, b) = train(run), train(run)
    assert losses(a) == losses(b)
    for x, y in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(x, y)
    _, _, c = train(replace(run, seed=run.seed + 1))
    assert losses(a) != losses(c)


def test_every_cell_sees_the_same_data_in_the_same_order() -> None:
    seen = {}
    for cell in registry.cell:
        run = config(f"cell={cell}")
        task = registry.task.get("adding")(run.task)
        original, batches = task.batches, seen.setdefault(cell, [])

        def spy(split, batch_size, random=None, original=original, batches=batches):  # type: ignore[no-untyped-def]
            for batch in original(split, batch_size, random):
                batches.append(batch.inputs)
                yield batch

        task.batches = spy
        with deterministic(0, 1):
            fit(task, build(task, run.cell, run.engine), run.train, np.random.default_rng(0))
    first, *others = seen.values()
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_learns() -> None:
    run = config("train.steps=150", "task.length=4", "task.epoch=640", "train.evaluate_every=50")
    task, model, _ = train(run)
    assert task.evaluate(model, "test")["MSE"] < 0.05


def test_the_weights_that_were_best_on_validation_are_restored() -> None:
    task, model, done = train(config("train.steps=30", "train.evaluate_every=3", "train.learning_rate=0.3"))
    values = {r["step"]: r["MSE"] for r in done.history if r["split"] == "validation"}
    assert values[done.best_step] == min(values.values())
    assert task.evaluate(model, "validation")["MSE"] == pytest.approx(min(values.values()), rel=1e-6)
    assert done.best_step != done.steps, "choose a learning rate at which the last weights are not the best"


def test_training_stops_when_validation_no_longer_improves() -> None:
    run = config("train.steps=400", "train.evaluate_every=1", "train.patience=3", "train.learning_rate=0.5")
    _, _, done = train(run)
    assert done.steps == done.best_step + 3 < 400


class Steep(nn.Module):
    """A model whose gradient is known: its output is weight * 1000."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 1))

    def forward(self, inputs, state=None, lengths=None):  # type: ignore[no-untyped-def]
        return (self.weight.sum() * 1000).expand(len(inputs), 1), state


@pytest.mark.parametrize(
    ("overrides", "limit"),
    [(["train.clip_norm=0.5"], 0.5), (["train.clip_norm=null", "train.clip_value=0.25"], 0.25 * math.sqrt(2))],
)
def test_gradients_are_clipped_by_norm_and_by_value(overrides: list[str], limit: float) -> None:
    run = config("train.steps=1", *overrides)
    task, model = registry.task.get("adding")(run.task), Steep()
    done = fit(task, model, run.train, np.random.default_rng(0))
    assert done.history[0]["gradient_norm"] > 1000, "the norm before clipping is recorded"
    assert float(model.weight.grad.norm()) == pytest.approx(limit, rel=1e-4)


def test_gradients_stop_at_the_window_and_the_state_goes_on() -> None:
    run = check(compose(["task=language_model", "task.hidden_size=8", "train.steps=3", "train.batch_size=2"])).run
    task = registry.task.get("language_model")(run.task)
    received = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = build(task, run.cell, run.engine)

        def forward(self, inputs, state=None, lengths=None):  # type: ignore[no-untyped-def]
            if self.training:
                received.append(state)
            return self.inner(inputs, state, lengths)

    fit(task, Watched(), run.train, np.random.default_rng(0))
    assert received[0] is None
    for state in received[1:]:
        assert all(s.abs().sum() > 0 and not s.requires_grad for s in state)


def test_a_loss_that_is_not_finite_names_step_and_gradient_norm() -> None:
    run = config("train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant", "train.steps=20")
    with pytest.raises(TrainingError, match=r"became (nan|inf) at step \d+ \(last gradient norm .*learning_rate"):
        train(run)


@pytest.mark.parametrize(("better", "best"), [("lower", min), ("higher", max)])
def test_weights_are_kept_by_the_metric_that_is_watched(better: str, best: Callable[..., int]) -> None:
    run = config("train.steps=12")
    task = registry.task.get("adding")(run.task)
    task.__class__ = type("Watching", (type(task),), {"watched": Metric("MSE", better=better)})
    with deterministic(0, 1):
        done = fit(task, build(task, run.cell, run.engine), run.train, np.random.default_rng(0))
    values = {row["step"]: row["MSE"] for row in done.history if row["split"] == "validation"}
    assert done.best_step == best(values, key=lambda step: values[step])

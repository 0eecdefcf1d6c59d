"""A training that is interrupted after any step goes on with exactly the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import TINY
from safetensors.torch import load, save

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import TrainingError
from lstmlab.schema import RunConfig
from lstmlab.studies.budget import build
from lstmlab.training import Fit, deterministic, fit
from lstmlab.training.loop import Row, Training
from lstmlab.training.snapshot import Snapshot, flatten, nest
from lstmlab.training.stream import Stream

STEPS = 9
TASKS = {
    "generated anew each epoch": [*TINY, "train.batch_size=16"],
    "dropout and zoneout": [*TINY, "train.batch_size=16", "cell.zoneout=0.2", "cell.num_layers=2", "cell.dropout=0.5"],
    "a state that goes on": ["task=language_model", "task.hidden_size=8", "task.window=8", "train.batch_size=4"],
    "sequences with lengths": ["task=music", "task.pieces=24", "task.hidden_size=8", "task.window=16"],
}


class Killed(BaseException):
    pass


def train(run: RunConfig, stop_after: int | None = None, resume: tuple[bytes, str] | None = None) -> object:
    """Train to the end, or until a step after which all that is left are bytes."""
    task = registry.task.get(run.task.name)(run.task)
    kept: list[tuple[bytes, str]] = []

    def watch(training: Training) -> None:
        if training.progress.step == stop_after:
            taken = training.snapshot()
            kept.append((save(taken.tensors), json.dumps([taken.facts, training.history])))
            raise Killed

    given = None
    if resume is not None:
        facts, history = json.loads(resume[1])
        given = (Snapshot(load(resume[0]), facts), history)
    with deterministic(run.seed, 1):
        model = build(task, run.cell, run.engine)
        try:
            done = fit(task, model, run.train, np.random.default_rng(run.seed), watch, given)
        except Killed:
            return kept[0]
    return done, model.state_dict()


def numbers(done: Fit) -> tuple[list[Row], int, int]:
    return done.history, done.best_step, done.steps


@pytest.mark.parametrize("overrides", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("stop_after", [1, 4, 8])
def test_what_follows_is_what_would_have_followed(overrides: list[str], stop_after: int) -> None:
    run = check(compose([*overrides, f"train.steps={STEPS}", "train.evaluate_every=3", "train.patience=5"])).run
    whole, weights = train(run)  # type: ignore[misc]
    resumed, again = train(run, resume=train(run, stop_after))  # type: ignore[misc, arg-type]
    assert numbers(resumed) == numbers(whole)
    assert all(torch.equal(weights[k], again[k]) for k in weights)


def test_a_position_is_found_again_in_any_epoch() -> None:
    run = check(compose([*TINY, "train.batch_size=24"])).run  # 64 sequences: batches of 24, 24 and 16
    task = registry.task.get("adding")(run.task)
    stream = Stream(task, 24, np.random.default_rng(3))
    positions, batches = [], []
    for _ in range(8):
        stream.peek()
        positions.append(json.loads(json.dumps(stream.position())))
        batches.append(next(stream).inputs)
    for position, batch in zip(positions, batches, strict=True):
        other = Stream(task, 24, np.random.default_rng(99))
        other.seek(position)
        assert torch.equal(next(other).inputs, batch)


def test_a_train_split_without_batches_is_refused() -> None:
    run = check(compose(TINY)).run
    task = registry.task.get("adding")(run.task)
    task.batches = lambda *given: iter(())  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"holds no batch of train\.batch_size=7"):
        next(Stream(task, 7, np.random.default_rng(0)))


@pytest.mark.parametrize("state", [None, torch.ones(1), (torch.ones(1), (torch.zeros(2), None))])
def test_states_of_every_shape_come_back(state: object) -> None:
    tensors, outline = flatten(state)
    assert str(nest(tensors, json.loads(json.dumps(outline)))) == str(state)

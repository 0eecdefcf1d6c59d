"""Checks that nothing is known too early: of the future, of test data, of padding."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor

from lstmlab.tasks import Batch, Task
from lstmlab.testing._contract import expect
from lstmlab.testing._task import TaskSubject, same

COMMON = 0.1  # of the test rows may stand in train by chance, in data that repeats itself
TRAIN_ONLY = "fit scales, vocabularies and all else, fill gaps and make windows from the train split alone"


def no_leak_from_the_future(subject: TaskSubject) -> str | None:
    """Of a causal task: other inputs after a step change no output up to it."""
    if not subject.task.causal:
        return "the task is not causal: it may read a whole sequence before it answers"
    model, (batch,) = subject.model().eval(), subject.batches("test", 1)
    steps, random = batch.inputs.shape[1], torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = model(batch.inputs, None, batch.lengths)[0]
        for t in sorted({t for t in (0, steps // 4, steps // 2, steps - 2) if 0 <= t < steps - 1}):
            inputs = torch.cat([batch.inputs[:, : t + 1], _others(batch.inputs[:, t + 1 :], random)], 1)
            after = model(inputs, None, batch.lengths)[0]
            change = float((after - before)[:, : t + 1].abs().max())
            expect(
                change <= 1e-5 * max(1.0, float(before.abs().max())),
                f"inputs after step {t} change outputs up to it, by {change:.3g}",
                "read in one direction only (no bidirectional=True), and normalise, pool and attend over past steps "
                "alone; if the whole sequence may be read, set `causal = False`",
            )
    return None


def no_leak_from_test_data(subject: TaskSubject) -> str | None:
    """With other validation and test data, `fitted` and every train batch stay the same."""
    if callable(subject.raw):
        return "the data are generated: nothing can leak"
    other = subject.altered("validation", "test")
    before, after = (json.dumps(t.fitted, sort_keys=True, default=repr) for t in (subject.task, other))
    expect(
        before == after,
        f"`fitted` changes when validation and test data do: {_changed(subject.task, other)}",
        TRAIN_ONLY,
    )
    expect(
        _equal(subject.task, other, "train", subject.config.train.batch_size),
        "train batches change when validation and test data do",
        TRAIN_ONLY,
    )
    expect(
        not _equal(subject.task, other, "test", subject.config.train.batch_size),
        "test batches stay the same when the raw data are altered",
        "read the data with self.dataset.load(), and split them by config.validation and config.test where these "
        "are shares",
    )
    return None


def windows_end_before_their_forecast(subject: TaskSubject) -> str | None:
    """Of a forecast: with other data in the test part, what the first test window sees stays the same."""
    if callable(subject.raw) or isinstance(subject.raw, dict) or not hasattr(subject.config.task, "horizon"):
        return "only for tasks with a horizon, on a table or series"
    before = subject.batches("test", 1)[0]
    after = subject.batches("test", 1, subject.altered_from(_first_forecast(subject, before)))[0]
    expect(
        torch.equal(before.inputs[0].nan_to_num(), after.inputs[0].nan_to_num()),
        "the first test window sees values of the time that it forecasts",
        "end a window at the step before its forecast; scale, smooth and fill it with what is known then",
    )
    return None


def splits_are_apart(subject: TaskSubject) -> None:
    """Every split has rows, validation and test rows are always the same, and none is a train row."""
    task, size = subject.task, subject.config.train.batch_size
    rows = {split: list(_rows(task.batches(split, size))) for split in ("train", "validation", "test")}
    empty = [split for split, found in rows.items() if not found]
    expect(not empty, f"no rows in {', '.join(empty)}", "give each split some rows, also with the overrides of tiny()")
    for split in ("validation", "test"):
        expect(
            _equal(task, subject.make(), split, size),
            f"the {split} batches differ from one task to the next",
            "draw evaluation data from a fixed seed, and do not shuffle where `random` is None",
        )
    for split, other in (("test", "train"), ("test", "validation"), ("validation", "train")):
        known = set(rows[other])
        share = sum(row in known for row in rows[split]) / len(rows[split])
        generated = task.dataset.kind == "generated"  # short ones meet by chance
        expect(
            share < 1 if generated else share <= COMMON,
            f"{share:.0%} of the {split} rows are {other} rows too",
            "let each example be in one split only, and drop duplicates before splitting",
        )


def padding_changes_nothing(subject: TaskSubject) -> str | None:
    """Garbage in padding, and more padding, changes neither the outputs at real steps nor the loss."""
    found = [b for s in ("test", "train") for b in subject.batches(s, 4) if b.lengths is not None]
    padded_ones = [b for b in found if b.lengths is not None and int(b.lengths.min()) < b.inputs.shape[1]]
    if not padded_ones:
        return "no batch has a sequence that ends before the others"
    batch = padded_ones[0]
    assert batch.lengths is not None
    model, random = subject.model().eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = model(batch.inputs, None, batch.lengths)[0]
        each_step = before.shape[1:2] == batch.inputs.shape[1:2]
        padded = _padded(batch, each_step, random)
        after = model(padded.inputs, None, padded.lengths)[0]
        losses = [float(subject.task.loss(o, b)) for o, b in ((before, batch), (after, padded))]
    if each_step:
        real = torch.arange(before.shape[1]) < batch.lengths[:, None]
        before, after = before[real], after[:, : len(real[0])][real]
    expect(
        before.shape == after.shape and torch.allclose(before, after, rtol=1e-4, atol=1e-5),
        "what stands in the padding changes outputs at real steps",
        "hand `lengths` to the recurrence, take the last real step rather than the last, and pool over real steps only",
    )
    expect(
        math.isclose(*losses, rel_tol=1e-4, abs_tol=1e-6),
        f"with more padding the loss goes from {losses[0]:.6g} to {losses[1]:.6g}",
        "average the loss over real steps only (batch.lengths, or cross_entropy's ignore_index)",
    )
    return None


def _first_forecast(subject: TaskSubject, before: Batch) -> int:
    """Return the row of the data where the forecast of the first test window begins, however its author rounds.

    It is so many rows before the last one on which the window's targets depend.
    """
    horizon = int(subject.config.task.horizon)
    start = math.ceil(subject.rows * (1 - subject.share("test")))
    for last in range(start + horizon + 1, start - 3, -1):
        after = subject.batches("test", 1, subject.altered_from(last))[0]
        if not torch.equal(after.targets[0].nan_to_num(), before.targets[0].nan_to_num()):
            return last - horizon + 1
    return start + 1


def _others(inputs: Tensor, random: torch.Generator) -> Tensor:
    """Return other inputs of the same kind: noise on shuffled steps, or symbols that occur."""
    if inputs.is_floating_point():
        spread = float(inputs.std()) if inputs.numel() > 1 else 1.0
        order = torch.randperm(inputs.shape[1], generator=random)
        return inputs[:, order] + (1 + spread) * torch.randn(inputs.shape, generator=random)
    symbols = inputs.unique()
    return symbols[torch.randint(len(symbols), inputs.shape, generator=random)]


def _padded(batch: Batch, each_step: bool, random: torch.Generator, more: int = 3) -> Batch:
    """Return a batch with other padding and ``more`` steps of it; targets of padding keep their value."""
    assert batch.lengths is not None
    inputs = torch.cat([batch.inputs, batch.inputs[:, :1].expand(-1, more, *batch.inputs.shape[2:])], 1)
    real = torch.arange(inputs.shape[1]) < batch.lengths[:, None]
    real = real.view(*real.shape, *[1] * (inputs.ndim - 2))
    garbage = _others(inputs, random) * (1000 if inputs.is_floating_point() else 1)
    targets = batch.targets
    if each_step and targets.shape[1:2] == batch.inputs.shape[1:2]:
        shortest = int(batch.lengths.argmin())
        filler = targets[shortest, -1:].expand(len(targets), more, *targets.shape[2:])
        targets = torch.cat([targets, filler], 1)
    return replace(batch, inputs=torch.where(real, inputs, garbage), targets=targets)


def _rows(batches: Iterator[Batch]) -> Iterator[bytes]:
    """Yield each sequence with its target as bytes."""
    for batch in batches:
        for i in range(len(batch.inputs)):
            steps = int(batch.lengths[i]) if batch.lengths is not None else batch.inputs.shape[1]
            yield batch.inputs[i, :steps].numpy().tobytes() + batch.targets[i].numpy().tobytes()


def _equal(a: Task, b: Task, split: str, size: int) -> bool:
    pairs = zip_longest(a.batches(split, size), b.batches(split, size))
    return all(x is not None and y is not None and same(x, y) for x, y in pairs)


def _changed(a: Task, b: Task) -> str:
    return ", ".join(k for k in {*a.fitted, *b.fitted} if repr(a.fitted.get(k)) != repr(b.fitted.get(k)))

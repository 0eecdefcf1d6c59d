"""Checks of what a task trains: shapes, gradients, seeds, checkpoints, and that it learns."""

from __future__ import annotations

import json
import math
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.engine import RNN
from lstmlab.tasks import Batch
from lstmlab.testing._contract import PromiseError, expect
from lstmlab.testing._task import TaskSubject
from lstmlab.training import deterministic
from lstmlab.training.distributed import part

CELLS = ("gru", "peephole")  # one state, and two with weights of their own
ROWS = 8  # of a batch whose losses are looked at one by one
SECONDS = 30  # of the CPU: more is no tiny run
ROUND_TRIP = (
    "hold only str, int, float, bool, None, lists and dicts with text keys, and read them from self.fitted[...]"
)


def batches_are_sound(subject: TaskSubject) -> None:
    """Batches are (batch, time, ...) tensors of finite numbers, with a target for each row."""
    for split in ("train", "validation", "test"):
        for batch in subject.batches(split, 2):
            _check_batch(batch, split)


def outputs_and_loss_fit(subject: TaskSubject) -> None:
    """A model returns (output, state); output rows are batch rows, and the loss is a finite scalar."""
    model, task = subject.model(), subject.task
    for split in ("train", "test"):
        for batch in subject.batches(split, 1):
            answer = model(batch.inputs, None, batch.lengths)
            expect(
                isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Tensor),
                f"the model returns {type(answer).__name__}, not (output, state)",
                "let forward(inputs, state=None, lengths=None) return the pair (output, state)",
            )
            output, rows = answer[0], len(batch.inputs)
            expect(
                output.ndim > 0 and len(output) == rows,
                f"output of shape {tuple(output.shape)} for {rows} sequences",
                "make the batch the first dimension of the output (make_rnn is batch first)",
            )
            steps = batch.inputs.shape[1]
            expect(
                not task.causal or (output.ndim > 1 and output.shape[1] == steps),
                f"a causal task, but output of shape {tuple(output.shape)} for {steps} steps",
                "answer at every step, (batch, time, ...), or leave `causal` False",
            )
            loss = task.loss(output, batch)
            expect(
                isinstance(loss, Tensor) and loss.ndim == 0 and bool(torch.isfinite(loss)),
                f"the loss is {loss!r}",
                "return the mean loss as a tensor without dimensions, and keep what is undefined out of it",
            )


def shares_make_the_whole(subject: TaskSubject) -> None:
    """The loss of a batch is the mean of the losses of its rows, each with its `weight`: devices can share it."""
    model, task = subject.model().eval(), subject.task
    batches = task.batches("train", subject.config.train.batch_size, np.random.default_rng(0))
    for batch in islice(batches, 4):
        count = len(batch.inputs)
        some = part(batch, slice(None, None, -(-count // ROWS)))  # neighbours are often of similar length
        each = [part(some, slice(row, row + 1)) for row in range(len(some.inputs))]
        weights = [task.weight(rows) for rows in (some, *each)]
        losses = [
            _loss(subject, model, rows) if weight else 0.0 for rows, weight in zip((some, *each), weights, strict=True)
        ]
        mean = float(np.average(losses[1:], weights=weights[1:])) if weights[0] else 0.0
        expect(
            math.isclose(losses[0], mean, rel_tol=2e-5, abs_tol=1e-6)
            and math.isclose(weights[0], sum(weights[1:]), rel_tol=1e-6),
            f"{len(each)} rows of weight {weights[0]:.6g} have the loss {losses[0]:.7g}; the mean of their own losses, "
            f"which weigh {sum(weights[1:]):.6g}, is {mean:.7g}",
            "let weight() return how much loss() takes its mean over (rows, steps, words), and let no row change "
            "the loss of another",
        )


@torch.no_grad()
def _loss(subject: TaskSubject, model: nn.Module, rows: Batch) -> float:
    try:
        return float(subject.task.loss(model(rows.inputs, None, rows.lengths)[0], rows))
    except Exception as error:
        raise PromiseError(
            f"some rows of a batch alone: {type(error).__name__}: {error}",
            "let forward() and loss() take any rows of a batch, also where all are shorter than its longest",
        ) from error


def every_cell_fits(subject: TaskSubject) -> None:
    """The recurrent part comes from make_rnn, and a cell with one state trains as well as one with two."""
    for cell in dict.fromkeys((subject.cell, *CELLS)):
        model = subject.model(cell)
        layers = [m for m in model.modules() if isinstance(m, RNN | nn.RNNBase)]
        wrong = [m for m in layers if not (isinstance(m, RNN) and isinstance(m.cell, registry.cell.get(cell)))]
        expect(
            bool(layers) and not wrong,
            f"with cell={cell} the model holds {wrong[0] if wrong else 'no recurrent layer'}",
            "make all recurrent layers with the make_rnn that model() is given",
        )
        batch = subject.batches("train", 1)[0]
        try:
            output, _ = model(batch.inputs, None, batch.lengths)
            subject.task.loss(output, batch).backward()
        except Exception as error:
            raise PromiseError(
                f"with cell={cell}: {type(error).__name__}: {error}",
                "take states as RNN returns them: a tensor of a cell with one state, else a tuple, the output first",
            ) from error


def gradients_reach_everything(subject: TaskSubject) -> None:
    """Every trainable parameter gets a gradient, and all gradients are finite."""
    model = subject.model().train()
    for batch in subject.batches("train", 3):
        output, _ = model(batch.inputs, None, batch.lengths)
        subject.task.loss(output, batch).backward()
    named = {k: p.grad for k, p in model.named_parameters() if p.requires_grad}
    idle = [k for k, g in named.items() if g is None]
    expect(
        not idle,
        f"no gradient for {', '.join(idle)}",
        "use these parameters in forward(), do not detach what they compute, or do not create them",
    )
    bad = [k for k, g in named.items() if g is not None and not g.isfinite().all()]
    expect(
        not bad,
        f"gradients of {', '.join(bad)} are not finite",
        "look for a logarithm, root or quotient at zero in forward() and loss(), and for infinite inputs",
    )


def same_seed_same_numbers(subject: TaskSubject) -> None:
    """Two runs with one seed agree to the last bit, and another seed gives other numbers."""
    first, again, other = subject.run(0), subject.run(0, copy=1), subject.run(1)
    same = first.metrics.equals(again.metrics) and first.result["scores"] == again.result["scores"]
    expect(
        same,
        "two runs with seed 0 differ",
        "draw only from the `random` that batches() is given and from torch, never from random, np.random or the "
        "clock, and do not iterate over a set",
    )
    expect(
        not first.metrics.equals(other.metrics),
        "seeds 0 and 1 give the same numbers",
        "shuffle the train split with the `random` that batches() is given, and seed nothing yourself",
    )


def checkpoint_round_trip(subject: TaskSubject) -> None:
    """Weights and `fitted`, read back from files, give the same model without the data, with the same scores."""
    fitted, (batch,) = subject.task.fitted, subject.batches("test", 1)
    try:
        stored = json.loads(json.dumps(fitted))
    except TypeError as error:
        raise PromiseError(f"`fitted` cannot be stored as JSON: {error}", ROUND_TRIP) from None
    expect(stored == fitted, f"`fitted` changes on its way through JSON: {_differing(fitted, stored)}", ROUND_TRIP)
    opened, whole = subject.run(), subject.run()

    def refuse() -> None:
        raise LookupError("the dataset is not to be had")

    opened.task.dataset.load = refuse  # type: ignore[method-assign]
    try:
        model = opened.model
    except LookupError:
        raise PromiseError(
            "the model of a finished run cannot be built without the data",
            "put what model() needs of the data (sizes, vocabularies, scales) into `fitted` and read it there",
        ) from None
    with deterministic(0, subject.config.train.threads), torch.no_grad():
        output = model(batch.inputs, None, batch.lengths)[0]
        expected = whole.model(batch.inputs, None, batch.lengths)[0]
        scores = {split: whole.task.evaluate(whole.model, split) for split in ("validation", "test")}
    expect(
        torch.equal(output, expected),
        "a model that is built without the data answers otherwise",
        "let model() depend on config and `fitted` alone",
    )
    expect(
        scores == whole.result["scores"],
        f"a finished run scores {scores} after it is opened, {whole.result['scores']} before",
        "keep all that the model needs in its parameters and buffers, and what the task has learnt in `fitted`; "
        "evaluate() must neither draw at random nor change anything",
    )


def loss_falls(subject: TaskSubject) -> None:
    """In the tiny run, the mean train loss of the last quarter is below that of the first."""
    rows = subject.run().metrics
    losses = rows[rows.split == "train"].loss.to_numpy()
    quarter = max(len(losses) // 4, 1)
    first, last = float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
    expect(
        len(losses) >= 8 and last < first,
        f"over {len(losses)} steps the train loss goes from {first:.4g} to {last:.4g}",
        "let tiny() set a train.learning_rate and at least 8 train.steps at which it falls; if none does, the loss "
        "does not depend on what the model can learn",
    )
    expect(
        subject.seconds < SECONDS,
        f"the tiny run takes {subject.seconds:.0f} s",
        'let tiny() return overrides that make it small: ["task.hidden_size=8", "train.steps=20"]',
    )


def _check_batch(batch: Batch, split: str) -> None:
    inputs, targets, lengths = batch.inputs, batch.targets, batch.lengths
    shapes = f"{split}: inputs {tuple(inputs.shape)}, targets {tuple(targets.shape)}"
    expect(
        inputs.ndim >= 2 and min(inputs.shape) > 0 and targets.ndim > 0 and len(inputs) == len(targets),
        shapes,
        "let inputs be (batch, time, ...) and give each of its rows a target",
    )
    real = inputs.is_floating_point()
    expect(
        inputs.dtype == torch.float32 if real else inputs.dtype == torch.int64,
        f"{split}: inputs are {inputs.dtype}",
        "give float32, or int64 for symbols",
    )
    kept = inputs if lengths is None else inputs[torch.arange(inputs.shape[1]) < lengths[:, None]]
    expect(
        not real or bool(kept.isfinite().all()),
        f"{split}: inputs hold NaN or infinity",
        "fill or leave out missing values, and say so in notes()",
    )
    fits = lengths is None or (
        lengths.shape == inputs.shape[:1] and 0 < lengths.min() <= lengths.max() <= inputs.shape[1]
    )
    expect(bool(fits), f"{split}: lengths {lengths}", "give each row its number of steps, from 1 to the batch's")


def _differing(a: dict[str, object], b: dict[str, object]) -> str:
    return ", ".join(sorted(str(k) for k in {*a, *b} if a.get(k) != b.get(k)))

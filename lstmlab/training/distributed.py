"""One training on several devices: each takes its share of the rows of every batch.

The ranks of a `Group` go through the same steps with the same weights. All make the same batches, so no data are
sent; gradients are added up by torch's DistributedDataParallel. As losses are means over what counts in a batch
(`Task.weight`), each rank's loss counts by its share of that, and the gradient is that of the whole batch but for
the order in which numbers are added.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from lstmlab.engine.norms import StepBatchNorm
from lstmlab.errors import TrainingError
from lstmlab.schema import TrainConfig
from lstmlab.tasks import Batch, Task
from lstmlab.training.group import Group
from lstmlab.training.loop import Row, Training, detach
from lstmlab.training.snapshot import Snapshot


def share(batch: Batch, rank: int, size: int) -> tuple[Batch, bool]:
    """Return every ``size``-th row of a batch, and whether they count.

    Neighbours often have similar lengths, so taking turns gives each rank as much to do. A rank beyond the number of
    rows gets one that counts nowhere: it must take part in what all ranks do together.
    """
    counts = rank < len(batch.inputs)
    return part(batch, slice(rank, None, size) if counts else slice(1)), counts


def part(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""
    lengths = None if batch.lengths is None else batch.lengths[rows]
    inputs, targets = batch.inputs[rows].contiguous(), batch.targets[rows].contiguous()
    return replace(batch, inputs=inputs, targets=targets, lengths=lengths)


class DistributedTraining(Training):
    """One rank's part of a training; all ranks have the same history and weights, and call the same methods.

    Rank 0 draws dropout and zoneout from the generator that a single device draws from, the others from their own.

    Raises:
        TrainingError: for a model that takes statistics over a batch: each rank sees only a part of it.
    """

    def __init__(
        self, task: Task, model: nn.Module, config: TrainConfig, random: np.random.Generator, group: Group
    ) -> None:
        super().__init__(task, model, config, random)
        self.group = group
        if any(isinstance(m, StepBatchNorm | _BatchNorm) for m in model.modules()):
            raise TrainingError("batch normalisation takes statistics over the whole batch: set train.devices=1")
        if not group.first:
            torch.manual_seed(_own_seed(torch.initial_seed(), group.rank))
        # Looking for unused parameters lets a task leave some out of a step. It also keeps the buckets, in which
        # gradients are added up, as they are at first; so more than two ranks add in the same order after a resume.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name of broadcast_buffers is not in all versions
            self.shared = DistributedDataParallel(
                _Share(task, model), find_unused_parameters=True, broadcast_buffers=False
            )

    def descend(self, batch: Batch) -> float:
        """Find the gradient of a batch's loss together with the other ranks; return the loss of the whole batch."""
        own, counts = share(batch, self.group.rank, self.group.size)
        state = detach(self.state) if batch.carry else None
        weight, whole = self.task.weight(own) if counts else 0.0, self.task.weight(batch)
        loss, self.state = self.shared(own, state, weight / whole if whole else math.nan)
        total = self.group.total(loss.item())
        self.check_finite(total)
        (loss * self.group.size).backward()  # DistributedDataParallel takes the mean over ranks
        return total

    def scores(self) -> dict[str, float]:
        """Return the metrics of the validation split, which rank 0 finds."""
        return self.group.told(super().scores() if self.group.first else None)

    def snapshot(self) -> Snapshot:
        """Return all that decides what comes next on every rank; all take it after the same step."""
        taken = super().snapshot()
        own = {k: v for k, v in taken.tensors.items() if k.startswith(("state.", "generator"))}
        everybody = enumerate(self.group.gathered(own))
        others = {f"rank{rank}.{name}": tensor for rank, part in everybody if rank for name, tensor in part.items()}
        return Snapshot(taken.tensors | others, taken.facts)

    def restore(self, taken: Snapshot, history: Sequence[Row]) -> None:
        """Go back to where a snapshot was taken, with this rank's states and generator."""
        super().restore(Snapshot(taken.tensors | taken.part(f"rank{self.group.rank}"), taken.facts), history)


class _Share(nn.Module):
    """The loss of some rows as a part of their batch's."""

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, batch: Batch, state: Any, counts: float) -> tuple[Tensor, Any]:
        """Return the loss times ``counts``, and the state; what has no part in the mean may have no loss either."""
        output, state = self.model(batch.inputs, state, batch.lengths)
        loss = self.task.loss(output, batch) * counts if counts else output.sum() * 0
        return loss, detach(state)


def _own_seed(seed: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0] >> 1)

"""The training data without end, at a position that can be written down and found again."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmlab.errors import TrainingError
from lstmlab.tasks import Batch, Task


class Stream:
    """The batches of the train split, epoch after epoch.

    Args:
        random: decides their order, and content where data are generated; used by nothing else.
    """

    def __init__(self, task: Task, batch_size: int, random: np.random.Generator) -> None:
        self.task, self.batch_size, self.random = task, batch_size, random
        self._begin()

    def _begin(self) -> None:
        self.taken, self.start = 0, self.random.bit_generator.state
        self.batches = self.task.batches("train", self.batch_size, self.random)
        self.ahead: Batch | None = None

    def peek(self) -> Batch:
        """Return the batch that comes next, and leave it there."""
        if self.ahead is None:
            self.ahead = next(self.batches, None)
        if self.ahead is None:
            if not self.taken:
                raise TrainingError(f"the train split holds no batch of train.batch_size={self.batch_size}")
            self._begin()
            return self.peek()
        return self.ahead

    def __next__(self) -> Batch:
        batch = self.peek()
        self.ahead, self.taken = None, self.taken + 1
        return batch

    def position(self) -> dict[str, Any]:
        """Return the generator at the beginning of this epoch, and how many of its batches were taken (JSON-safe)."""
        return {"start": self.start, "taken": self.taken}

    def seek(self, position: dict[str, Any]) -> None:
        """Go on where `position` was told: the epoch's batches are made again and passed over."""
        self.random.bit_generator.state = position["start"]
        self._begin()
        for _ in range(position["taken"]):
            next(self)

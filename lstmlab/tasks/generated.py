"""Sequences that are drawn: training never repeats, validation and test never change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.task import Batch, Task

FIXED = {"validation": 1, "test": 2}  # seeds of the sets that never change


@dataclass(kw_only=True)
class GeneratedConfig(TaskConfig):
    """Keys of a generated task."""

    length: int = option(low=2)  # steps of a sequence
    samples: int = option(2000, low=10)  # sequences in the validation and in the test split
    epoch: int = option(6400, low=1)  # fresh training sequences between two draws


class Generated(Task):
    """A task whose dataset loads as a function ``draw(count, length, random)`` of inputs and targets.

    Validation and test sets are drawn once, from seeds of their own, and are the same for every
    run; training sequences come from the run's seed.
    """

    Config = GeneratedConfig
    config: GeneratedConfig

    @classmethod
    def tiny(cls) -> list[str]:
        """Short sequences, few of them."""
        sizes = ["task.length=10", "task.samples=50", "task.epoch=512", "task.hidden_size=16"]
        return [*sizes, "train.steps=60", "train.evaluate_every=20"]

    def draw(self, split: str, random: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of a split; ``random`` decides those of train."""
        if split == "train":
            return self.dataset.load()(self.config.epoch, self.config.length, random or np.random.default_rng(0))
        seed = np.random.default_rng([FIXED[split], self.config.length])
        return self.dataset.load()(self.config.samples, self.config.length, seed)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the split in batches, fresh ones for train."""
        inputs, targets = (torch.from_numpy(values) for values in self.draw(split, random))
        for at in range(0, len(inputs), batch_size):
            yield Batch(inputs[at : at + batch_size], targets[at : at + batch_size])

    def example(self) -> Batch:
        """Return the first test sequence."""
        return next(self.batches("test", 1))

    def notes(self) -> list[str]:
        """Say that the data is generated."""
        return [f"Generated, not measured: length {self.config.length}, {self.config.samples} test sequences."]

"""Reading a sequence and answering with one number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.models import LastStep
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIXED = {"validation": 1, "test": 2}  # seeds of the sets that never change


@dataclass(kw_only=True)
class SequenceRegressionConfig(TaskConfig):
    """Keys of a generated regression task."""

    length: int = option(low=2)  # steps of a sequence
    samples: int = option(2000, low=10)  # sequences in the validation and in the test split
    epoch: int = option(6400, low=1)  # fresh training sequences between two draws


class SequenceRegression(Task):
    """Regress a number from a generated sequence; training data never repeats.

    Validation and test sets are drawn once, from seeds of their own, and are the same for every
    run; training sequences come from the run's seed.
    """

    Config = SequenceRegressionConfig
    config: SequenceRegressionConfig
    metrics = (Metric("MSE"),)
    example_title = "Answers against the truth"
    features = 2

    @classmethod
    def tiny(cls) -> list[str]:
        return [
            *("task.hidden_size=16", "task.length=6", "task.samples=100", "task.epoch=640"),
            *("train.steps=60", "train.evaluate_every=30"),
        ]

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence with one output."""
        return LastStep(make_rnn(self.features), 1)

    def draw(self, split: str, random: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets of a split; train needs ``random``."""
        if split == "train":
            return self.dataset.load()(self.config.epoch, self.config.length, random or np.random.default_rng(0))
        seed = np.random.default_rng([FIXED[split], self.config.length])
        return self.dataset.load()(self.config.samples, self.config.length, seed)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield the split in batches, fresh ones for train."""
        inputs, targets = self.draw(split, random)
        for at in range(0, len(inputs), batch_size):
            x, y = inputs[at : at + batch_size], targets[at : at + batch_size, None]
            yield Batch(torch.from_numpy(x), torch.from_numpy(y))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error."""
        return nn.functional.mse_loss(output, batch.targets)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the mean squared error of a split."""
        outputs, targets = collect(model, self.batches(split, 500))
        return {"MSE": float(torch.mean((outputs.double() - targets.double()) ** 2))}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the best constant, which is the expected target."""
        _, targets = self.draw(split)
        return {"constant 1": {"MSE": float(np.mean((targets.astype("float64") - 1.0) ** 2))}}

    def example(self) -> Batch:
        """Return the first test sequence."""
        return next(self.batches("test", 1))

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Scatter answers over true values; a perfect model lies on the diagonal."""
        first = next(self.batches("test", 200))
        for name, model in models.items():
            outputs, targets = collect(model, iter([first]))
            ax.scatter(targets, outputs, s=9, alpha=0.6, color=colours[name], label=name, linewidths=0)
        ends = [float(first.targets.min()), float(first.targets.max())]
        ax.plot(ends, ends, color="0.25", lw=1, label="truth")
        ax.set_xlabel("true sum")
        ax.set_ylabel("answer")

    def notes(self) -> list[str]:
        """Say that the data is generated."""
        return [f"Generated, not measured: {self.config.length} steps, {self.config.samples} test sequences."]

"""Reading a sequence and naming its class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks.models import LastStep
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOGETHER = 500  # sequences of a batch in evaluation


class Classification(Task):
    """Name the class of a sequence of ``features`` values a step."""

    metrics: tuple[Metric, ...] = (Metric("accuracy", "%", better="higher"), Metric("cross-entropy", "nats"))
    example_title = "Test accuracy by class"
    classes: Sequence[str]
    features: int

    @abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """Return the class numbers of a split, in the order of its batches without ``random``."""

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence whose last output names the class."""
        return LastStep(make_rnn(self.features), len(self.classes))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats."""
        return nn.functional.cross_entropy(output, batch.targets)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return accuracy and cross-entropy of a split."""
        outputs, targets = collect(model, self.batches(split, TOGETHER))
        return self.score(outputs.double().softmax(1).numpy(), targets.numpy())

    def score(self, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Return the metrics of class probabilities (n, classes)."""
        right = probabilities[np.arange(len(labels)), labels]
        entropy = -np.log(np.maximum(right, np.finfo("float64").tiny)).mean()
        return {"accuracy": 100 * float((probabilities.argmax(1) == labels).mean()), "cross-entropy": float(entropy)}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the shares of the classes in the train split, whose largest is always the answer."""
        labels, train = self.labels(split), self.labels("train")
        shares = np.bincount(train, minlength=len(self.classes)) / len(train)
        return {"most frequent class": self.score(np.tile(shares, (len(labels), 1)), labels)}

    def confusion(self, model: nn.Module, split: str) -> np.ndarray:
        """Return how many sequences of each class (rows) were named as which (columns)."""
        outputs, targets = collect(model, self.batches(split, TOGETHER))
        counts = np.zeros((len(self.classes), len(self.classes)), dtype=int)
        np.add.at(counts, (targets.numpy(), outputs.argmax(1).numpy()), 1)
        return counts

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw, for each class, the share of it that each model names rightly."""
        places = np.arange(len(self.classes))
        for at, (name, model) in enumerate(models.items()):
            counts = self.confusion(model, "test")
            right = 100 * counts.diagonal() / np.maximum(counts.sum(1), 1)
            aside = (at - (len(models) - 1) / 2) * 0.6 / max(len(models), 1)
            ax.plot(places + aside, right, ls="", marker="o", ms=5, color=colours[name], label=name)
        ax.set_xticks(places, self.classes)
        ax.set_xlabel("true class")
        ax.set_ylabel("named rightly (%)")

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Show what is taken for what."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2.9 * len(models), 2.9), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, len(models)))
        for ax, (name, model) in zip(axes, models.items(), strict=True):
            counts = self.confusion(model, "test")
            share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
            ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    colour = "w" if share[row, column] > 0.5 else "k"
                    ax.text(column, row, count, ha="center", va="center", fontsize=6, color=colour)
            slope = 30 if max(map(len, self.classes)) > 3 else 0
            ax.set_xticks(
                range(len(self.classes)), self.classes, fontsize=7, rotation=slope, ha="right" if slope else "center"
            )
            ax.set_yticks(range(len(self.classes)), self.classes, fontsize=7)
            ax.set(title=name, xlabel="answer", ylabel="truth")
        return {"What is taken for what: sequences of the test split": figure} if models else {}

    def example(self) -> Batch:
        """Return the first test sequence."""
        return next(iter(self.batches("test", 1)))


def as_batch(inputs: np.ndarray, labels: np.ndarray) -> Batch:
    """Return a batch of float inputs (batch, time, features) and class numbers."""
    return Batch(torch.from_numpy(np.ascontiguousarray(inputs, "float32")), torch.from_numpy(labels.astype("int64")))

"""Reading symbols and naming a class at each step, or at those steps that count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks.generated import Generated
from lstmlab.tasks.models import EveryStep
from lstmlab.tasks.task import Batch, MakeRNN, Metric, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNCOUNTED = -1  # target of a step whose answer does not matter


class GeneratedLabelling(Generated):
    """Name one of ``labels`` classes at each step of a generated sequence of ``symbols`` symbols."""

    metrics = (Metric("accuracy", "%", better="higher"), Metric("cross-entropy", "nats"))
    example_title = "Accuracy at each step that counts"
    causal = True
    symbols: int
    labels: int

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an embedding of the symbols, a recurrence, and a head at each step."""
        return EveryStep(make_rnn(self.symbols), self.symbols, self.labels)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy, in nats, of the steps that count."""
        return nn.functional.cross_entropy(output.flatten(0, 1), batch.targets.flatten(), ignore_index=UNCOUNTED)

    def weight(self, batch: Batch) -> float:
        """Return the number of steps that count."""
        return float((batch.targets != UNCOUNTED).sum())

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return accuracy and cross-entropy over the steps that count."""
        outputs, targets = collect(model, self.batches(split, 500))
        counted = targets != UNCOUNTED
        entropy = nn.functional.cross_entropy(outputs[counted].double(), targets[counted])
        right = (outputs.argmax(2) == targets)[counted].double().mean()
        return {"accuracy": 100 * float(right), "cross-entropy": float(entropy)}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score a guess without memory: the shares of the classes in the train split."""
        train, targets = (self.draw(s)[1] for s in ("train", split))
        shares = np.bincount(train[train != UNCOUNTED], minlength=self.labels) / (train != UNCOUNTED).sum()
        counted = targets[targets != UNCOUNTED]
        entropy = -np.log(shares[counted]).mean()
        return {
            "guess": {"accuracy": 100 * float((counted == shares.argmax()).mean()), "cross-entropy": float(entropy)}
        }

    def by_step(self, model: nn.Module, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps that count, and the accuracy (%) at each of them."""
        outputs, targets = collect(model, iter([batch]))
        counted = (targets != UNCOUNTED).all(0)
        right = (outputs.argmax(2) == targets)[:, counted].double().mean(0)
        return np.flatnonzero(counted.numpy()), 100 * right.numpy()

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the accuracy at each step."""
        batch = next(self.batches("test", self.config.samples))
        for name, model in models.items():
            steps, right = self.by_step(model, batch)
            ax.plot(steps + 1, right, marker="o", ms=3, lw=1.5, color=colours[name], label=name)
        ax.set_xlabel("step")
        ax.set_ylabel("accuracy (%)")

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Show what becomes of the accuracy on sequences longer than those of the training."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.9, 2.6), layout="constrained")
        ax = figure.subplots()
        times = (1, 2, 4, 8)
        for name, model in models.items():
            scores = [self._accuracy_at(model, n * self.config.length) for n in times]
            ax.plot([n * self.config.length for n in times], scores, "o-", color=colours[name], label=name)
        ax.set_xscale("log", base=2)
        ax.set_xticks([n * self.config.length for n in times], [str(n * self.config.length) for n in times])
        ax.set(xlabel=f"length (trained at {self.config.length})", ylabel="accuracy (%)")
        ax.legend(fontsize=7)
        return {"Longer sequences than those of the training": figure}

    def _accuracy_at(self, model: nn.Module, length: int) -> float:
        inputs, targets = (torch.from_numpy(v) for v in self.dataset.load()(200, length, np.random.default_rng(3)))
        return float(self.by_step(model, Batch(inputs, targets))[1].mean())

"""Reading a sequence and answering with one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks.generated import Generated
from lstmlab.tasks.models import LastStep
from lstmlab.tasks.task import Batch, MakeRNN, Metric, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class GeneratedRegression(Generated):
    """Regress a number from a generated sequence of ``features`` values a step."""

    metrics = (Metric("MSE"),)
    example_title = "Answers against the truth"
    features: int

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence with one output."""
        return LastStep(make_rnn(self.features), 1)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error."""
        return nn.functional.mse_loss(output[:, 0], batch.targets)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the mean squared error of a split."""
        outputs, targets = collect(model, self.batches(split, 500))
        return {"MSE": float(torch.mean((outputs[:, 0].double() - targets.double()) ** 2))}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the best constant: the mean of the train targets."""
        constant = self.draw("train")[1].astype("float64").mean()
        _, targets = self.draw(split)
        return {"constant": {"MSE": float(np.mean((targets.astype("float64") - constant) ** 2))}}

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Scatter answers over true values; a perfect model lies on the diagonal."""
        first = next(self.batches("test", 200))
        for name, model in models.items():
            outputs, targets = collect(model, iter([first]))
            ax.scatter(targets, outputs[:, 0], s=9, alpha=0.6, color=colours[name], label=name, linewidths=0)
        ends = [float(first.targets.min()), float(first.targets.max())]
        ax.plot(ends, ends, color="0.25", lw=1, label="truth")
        ax.set_xlabel("true value")
        ax.set_ylabel("answer")

"""What a task gives, so that any cell can be trained on it, scored and compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.data import Dataset
from lstmlab.engine import RNN
from lstmlab.schema import TaskConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Metric:
    """A number that judges a model: its unit, and whether lower or higher is better."""

    name: str
    unit: str = ""
    better: str = "lower"

    @property
    def label(self) -> str:
        """Name and unit, as an axis shows them."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def improves(self, value: float, than: float) -> bool:
        """Return whether ``value`` is better than ``than``."""
        return value < than if self.better == "lower" else value > than


@dataclass(frozen=True)
class Batch:
    """Inputs (batch, time, ...) with their targets.

    Attributes:
        lengths: steps that belong to each sequence; None when all do.
        carry: this batch goes on where the one before it ended, row by row, so the state is kept.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    carry: bool = False


class MakeRNN(Protocol):
    """Makes the recurrent part of a model, batch first, with the cell and size under comparison."""

    def __call__(self, input_size: int, *, bidirectional: bool = False) -> RNN: ...


class Task(ABC):
    """Data, model, loss, metrics and honest baselines of one application.

    Splits are named "train", "validation" and "test". A model is called as
    ``model(inputs, state=None, lengths=None)`` and returns ``(output, state)``.

    Attributes:
        Config: dataclass that the group ``task`` is checked against.
        metrics: the first one is compared, watched for early stopping, and shown in tables.
        example_title: what the figure of `draw_example` shows.
    """

    Config: ClassVar[type[TaskConfig]] = TaskConfig
    metrics: ClassVar[tuple[Metric, ...]]
    example_title: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.config = config
        self.dataset: Dataset = registry.dataset.get(config.dataset)()

    @property
    def metric(self) -> Metric:
        """The metric that is compared."""
        return self.metrics[0]

    @abstractmethod
    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an untrained model around ``make_rnn(input_size)``."""

    @abstractmethod
    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield one epoch; ``random`` decides order (and content, where data is generated)."""

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch."""

    @abstractmethod
    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the value of every metric on a split."""

    @abstractmethod
    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Return, for each baseline that needs no network, the value of every metric on a split."""

    @abstractmethod
    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw what the models answer beside the truth, on test data, with axes labelled."""

    @abstractmethod
    def example(self) -> Batch:
        """Return one sequence of the test split, to look at a model's inside."""

    def notes(self) -> list[str]:
        """Return what was done to the data that a reader should know: filled, skipped, cut."""
        return []


@torch.no_grad()
def predict(model: nn.Module, batches: Iterator[Batch]) -> tuple[Tensor, Tensor]:
    """Return outputs and targets of all batches, concatenated along the first dimension."""
    pairs = [(model(b.inputs, None, b.lengths)[0], b.targets) for b in batches]
    outputs, targets = zip(*pairs, strict=True)
    return torch.cat(outputs), torch.cat(targets)

"""What a task gives, so that any cell can be trained on it, scored and compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.data import SPLITS as SPLITS
from lstmlab.data import Dataset
from lstmlab.engine import RNN
from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig

if TYPE_CHECKING:
    import pandas as pd
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

    def to(self, device: str) -> Batch:
        """Return the batch on a device; itself where it is there already."""
        if self.inputs.device.type == device:
            return self
        lengths = None if self.lengths is None else self.lengths.to(device)
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device), lengths=lengths)


class MakeRNN(Protocol):
    """Makes the recurrent part of a model, batch first, with the cell and size under comparison."""

    def __call__(self, input_size: int, *, bidirectional: bool = False) -> RNN: ...


class Task(ABC):
    """Data, model, loss, metrics and honest baselines of one application.

    The splits are "train", "validation" and "test"; what is in which is the task's to decide, once. A
    model is called as ``model(inputs, state=None, lengths=None)`` and returns ``(output, state)``.
    `lstmlab.testing.check_task` checks all that is said here.

    Raises:
        LstmlabError: when ``task.path`` is given to a dataset that reads no file.

    Attributes:
        Config: dataclass that the group ``task`` is checked against.
        metrics: the first one is compared and, unless `watched` says otherwise, decides when training stops.
        example_title: what the figure of `draw_example` shows.
        causal: the output at a step may depend on this step and those before it only. False for a
            model that reads a whole sequence before it answers (both directions, or one answer).
    """

    Config: ClassVar[type[TaskConfig]] = TaskConfig
    metrics: tuple[Metric, ...]
    example_title: ClassVar[str]
    causal: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        self.config = config
        self.dataset: Dataset = registry.dataset.get(config.dataset)(config)
        if config.path and self.dataset.kind != "file":
            _refuse_path(config)

    @classmethod
    def tiny(cls) -> list[str]:
        """Return overrides with which a run takes a second and its loss still falls: for tests."""
        return []

    @property
    def metric(self) -> Metric:
        """The metric that is compared."""
        return self.metrics[0]

    @property
    def watched(self) -> Metric:
        """What decides on the validation split which weights are kept, and when training stops.

        It is another one than `metric` where that cannot be had on validation: anomalies are found on test data only.
        """
        return self.metric

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """What is learnt from the train split besides the weights: scales, vocabularies.

        It is stored with every run as JSON, and set again when the run is opened, so that a model
        can answer new data where its training data are not at hand.
        """
        return {}

    @abstractmethod
    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an untrained model around ``make_rnn(input_size)``."""

    @abstractmethod
    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield one epoch; ``random`` decides order (and content, where data is generated)."""

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch."""

    def weight(self, batch: Batch) -> float:
        """Return how much there is in a batch that `loss` takes its mean over.

        These are its rows, unless a task's mean is over steps, words or symbols. Devices that share a batch
        weigh their losses with it.
        """
        return float(len(batch.inputs))

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

    def told(self) -> list[str]:
        """Return what a reader should know of the data, each thing once: what reading did, then `notes`."""
        return list(dict.fromkeys((*self.dataset.notes(), *self.notes())))

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else a report should show: title -> figure, table, or anything that a notebook displays.

        Args:
            models: one trained model for each cell, that of its median seed.
            colours: of the cells.
        """
        return {}

    def verdict(self, models: Mapping[str, Sequence[nn.Module]]) -> str:
        """Return what may be said of the models against the baselines, "" for the usual sentence.

        A task whose field has a test of its own for that (Diebold and Mariano's, for forecasts of prices)
        says here what the test supports.

        Args:
            models: for each cell those of all seeds.
        """
        return ""

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return a model's answers to new data in a file of the kind that the task's own data have.

        Raises:
            LstmlabError: when the file is not what the model was trained for, with what is expected.
        """
        raise LstmlabError(f"task {self.config.name!r} has no predictions on new data")


def _refuse_path(config: TaskConfig) -> None:
    kinds = {name: registry.dataset.get(name) for name in registry.dataset}
    files = [name for name, kind in kinds.items() if kind.kind == "file" and config.name in kind.tasks]
    raise LstmlabError(
        f"task.path={config.path}: the dataset {config.dataset!r} reads no file of yours. "
        + (f"Add task.dataset={' or task.dataset='.join(files)}." if files else "No dataset of this task does.")
    )


@torch.no_grad()
def collect(model: nn.Module, batches: Iterator[Batch]) -> tuple[Tensor, Tensor]:
    """Return outputs and targets of all batches, concatenated along the first dimension."""
    pairs = [(model(b.inputs, None, b.lengths)[0], b.targets) for b in batches]
    outputs, targets = zip(*pairs, strict=True)
    return torch.cat(outputs), torch.cat(targets)

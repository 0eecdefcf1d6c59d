"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import TrainingError
from lstmlab.schema import TrainConfig
from lstmlab.tasks import Batch, Task
from lstmlab.training import snapshot
from lstmlab.training.determinism import check_device
from lstmlab.training.snapshot import Snapshot
from lstmlab.training.stream import Stream

Row = dict[str, Any]  # one line of metrics.jsonl
Watch = Callable[["Training"], object]
Make = Callable[[Task, nn.Module, TrainConfig, np.random.Generator], "Training"]


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        best: value of the watched metric at ``best_step``, NaN before the first evaluation.
        since_best: evaluations without a better value.
        seconds: spent on training steps, without evaluations.
        loss: of the last step.
        norm: of its gradient, before clipping.
    """

    step: int = 0
    best: float = math.nan
    best_step: int = 0
    since_best: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    norm: float = 0.0


@dataclass
class Fit:
    """What a training left behind; the model holds the best weights.

    Attributes:
        history: a row for each step (loss, gradient norm before clipping) and each evaluation.
        seconds: spent on training steps, without evaluations.
    """

    history: list[Row]
    best_step: int
    steps: int
    seconds: float


def fit(
    task: Task,
    model: nn.Module,
    config: TrainConfig,
    random: np.random.Generator,
    watch: Watch = lambda training: None,
    resume: tuple[Snapshot, Sequence[Row]] | None = None,
    make: Make | None = None,
) -> Fit:
    """Train ``model`` on ``task`` and leave the weights that were best on validation in it.

    Args:
        task: gives batches, loss and validation metric.
        model: trained in place.
        config: the group ``train``.
        random: decides the order of the data; equal for all cells with the same seed.
        watch: called after every step; may take a `Training.snapshot`.
        resume: such a snapshot and the history up to it; what follows is what would have followed then.
        make: makes the training; None makes one that has this process for itself.

    Raises:
        TrainingError: when a loss or a gradient is not finite, or there is nothing to train on.
    """
    training = (make or Training)(task, model, config, random)
    if resume is not None:
        training.restore(*resume)
    while not training.over:
        training.update()
        if training.progress.step % config.evaluate_every == 0 or training.progress.step == config.steps:
            training.evaluate()
        watch(training)
    model.load_state_dict(training.best_weights)
    model.cpu().eval()
    p = training.progress
    return Fit(training.history, p.best_step, p.step, p.seconds)


class Training:
    """One training, step by step."""

    def __init__(self, task: Task, model: nn.Module, config: TrainConfig, random: np.random.Generator) -> None:
        check_device(config)
        self.task, self.model, self.config, self.device = task, model.to(config.device), config, config.device
        self.optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        self.stream = Stream(task, config.batch_size, random)
        self.progress = Progress()
        self.history: list[Row] = []
        self.best_weights = snapshot.weights(model)
        self.state: Any = None

    @property
    def over(self) -> bool:
        """Whether all steps are done, or validation has not improved for too long."""
        patience = self.config.patience
        waited = patience is not None and self.progress.since_best >= patience
        return self.progress.step >= self.config.steps or waited

    def update(self) -> None:
        """Learn from the next batch."""
        p, started = self.progress, time.perf_counter()
        p.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * _rate(self.config, p.step - 1)
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.descend(next(self.stream).to(self.device))
        p.norm = _clip(self.model, self.config)
        if not math.isfinite(p.norm):
            raise TrainingError(_not_finite("gradient norm", p.norm, p.step, p.norm))
        self.optimizer.step()
        p.loss, p.seconds = loss, p.seconds + time.perf_counter() - started
        self.history.append({"step": p.step, "split": "train", "loss": p.loss, "gradient_norm": p.norm})

    def descend(self, batch: Batch) -> float:
        """Find the gradient of a batch's loss, and return the loss."""
        # Truncated backpropagation through time: the state goes on, its gradient stops here.
        state = detach(self.state) if batch.carry else None
        output, self.state = self.model(batch.inputs, state, batch.lengths)
        loss = self.task.loss(output, batch)
        self.check_finite(loss.item())
        loss.backward()
        return loss.item()

    def check_finite(self, loss: float) -> None:
        """Raise `TrainingError` where there is nothing to descend."""
        if not math.isfinite(loss):
            raise TrainingError(_not_finite("loss", loss, self.progress.step, self.progress.norm))

    def scores(self) -> dict[str, float]:
        """Return the metrics of the validation split."""
        # Tasks evaluate on the CPU, where their data and metrics are.
        return self.task.evaluate(self.model if self.device == "cpu" else deepcopy(self.model).cpu(), "validation")

    def evaluate(self) -> None:
        """Look at the validation split, and keep the weights if they are the best so far."""
        p = self.progress
        self.model.eval()
        scores = self.scores()
        self.history.append({"step": p.step, "split": "validation", **scores})
        value = scores[self.task.watched.name]
        p.since_best += 1
        if math.isnan(p.best) or self.task.watched.improves(value, p.best):
            p.best, p.best_step, p.since_best = value, p.step, 0
            self.best_weights = snapshot.weights(self.model)

    def snapshot(self) -> Snapshot:
        """Return all that decides what comes next; the history goes beside it."""
        carried, outline = snapshot.flatten(self.state if self.stream.peek().carry else None)
        parts = {
            "model": snapshot.weights(self.model),
            "best": self.best_weights,
            "optimizer": snapshot.averages(self.optimizer),
            "state": {str(i): s.detach().clone() for i, s in enumerate(carried)},
        }
        tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        facts = {
            "progress": asdict(self.progress),
            "stream": self.stream.position(),
            "state": outline,
            "rows": len(self.history),
        }
        return Snapshot(tensors | snapshot.generators(self.device), facts)

    def restore(self, taken: Snapshot, history: Sequence[Row]) -> None:
        """Go back to where a snapshot was taken, with the history up to it."""
        self.model.load_state_dict(taken.part("model"))
        self.best_weights = taken.part("best")
        snapshot.set_averages(self.optimizer, taken.part("optimizer"))
        carried = {name: tensor.to(self.device) for name, tensor in taken.part("state").items()}
        self.state = snapshot.nest([carried[str(i)] for i in range(len(carried))], taken.facts["state"])
        self.progress = Progress(**taken.facts["progress"])
        self.history = list(history)
        self.stream.seek(taken.facts["stream"])
        snapshot.set_generators(taken.tensors)


def _rate(config: TrainConfig, step: int) -> float:
    """Return the factor on the learning rate after ``step`` updates."""
    return (1 + math.cos(math.pi * step / config.steps)) / 2 if config.schedule == "cosine" else 1.0


def _clip(model: nn.Module, config: TrainConfig) -> float:
    """Clip gradients by value, then by global norm (Pascanu et al. 2013); return the norm before."""
    parameters = list(model.parameters())
    norm = nn.utils.clip_grad_norm_(parameters, math.inf)
    if config.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, config.clip_value)
    if config.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    return float(norm)


def detach(state: Any) -> Any:
    """Return a state, one tensor or nested tuples of them, that gradients do not reach."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detach(s) for s in state)


def _not_finite(what: str, value: float, step: int, norm: float) -> str:
    return (
        f"the {what} became {value} at step {step} (last gradient norm {norm:.3g}); "
        "lower train.learning_rate or train.clip_norm"
    )

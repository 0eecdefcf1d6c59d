"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import TrainingError
from lstmlab.schema import TrainConfig
from lstmlab.tasks import Batch, Task

Row = dict[str, Any]  # one line of metrics.jsonl
Watch = Callable[[list[Row], int], None]  # all rows so far, and the step


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
    watch: Watch = lambda rows, step: None,
) -> Fit:
    """Train ``model`` on ``task`` and leave the weights that were best on validation in it.

    Args:
        task: gives batches, loss and validation metric.
        model: trained in place.
        config: the group ``train``.
        random: decides the order of the data; equal for all cells with the same seed.
        watch: called after every step.

    Raises:
        TrainingError: when a loss or a gradient is not finite.
    """
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(config, step))
    history: list[Row] = []
    best, best_step, best_weights = math.nan, 0, _copy(model)
    since_best, seconds, norm, state = 0, 0.0, 0.0, None
    batches = _endless(task, config.batch_size, random)

    for step in range(1, config.steps + 1):
        started = time.perf_counter()
        model.train()
        batch = next(batches)
        # Truncated backpropagation through time: the state goes on, its gradient stops here.
        state = _detach(state) if batch.carry else None
        output, state = model(batch.inputs, state, batch.lengths)
        loss = task.loss(output, batch)
        if not torch.isfinite(loss):
            raise TrainingError(_not_finite("loss", loss.item(), step, norm))
        optimizer.zero_grad()
        loss.backward()
        norm = _clip(model, config)
        if not math.isfinite(norm):
            raise TrainingError(_not_finite("gradient norm", norm, step, norm))
        optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - started
        history.append({"step": step, "split": "train", "loss": loss.item(), "gradient_norm": norm})

        if step % config.evaluate_every == 0 or step == config.steps:
            model.eval()
            scores = task.evaluate(model, "validation")
            history.append({"step": step, "split": "validation", **scores})
            value = scores[task.watched.name]
            since_best += 1
            if math.isnan(best) or task.watched.improves(value, best):
                best, best_step, best_weights, since_best = value, step, _copy(model), 0
        watch(history, step)
        if config.patience is not None and since_best >= config.patience:
            break

    model.load_state_dict(best_weights)
    model.eval()
    return Fit(history, best_step, step, seconds)


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


def _endless(task: Task, batch_size: int, random: np.random.Generator) -> Iterator[Batch]:
    while True:
        yield from task.batches("train", batch_size, random)


def _detach(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(_detach(s) for s in state)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def _not_finite(what: str, value: float, step: int, norm: float) -> str:
    return (
        f"the {what} became {value} at step {step} (last gradient norm {norm:.3g}); "
        "lower train.learning_rate or train.clip_norm"
    )

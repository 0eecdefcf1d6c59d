"""Equal budgets: every cell gets as many units as cost the same number of parameters."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lstmlab import registry
from lstmlab.engine import RNN
from lstmlab.errors import LstmlabError
from lstmlab.schema import CellConfig, EngineConfig, RunConfig
from lstmlab.tasks import Task

TOLERANCE = 0.02  # by which parameter counts may differ from the budget


def build(task: Task, cell: CellConfig, engine: EngineConfig) -> nn.Module:
    """Return an untrained model of ``task`` with the cell and size that ``cell`` describes."""

    def make_rnn(input_size: int, *, bidirectional: bool = False) -> RNN:
        return RNN(
            cell.name,
            input_size,
            cell.hidden_size or task.config.hidden_size,
            num_layers=cell.num_layers,
            dropout=cell.dropout,
            forget_bias=cell.forget_bias,
            bidirectional=bidirectional,
            batch_first=True,
            proj_size=cell.proj_size,
            variational=cell.variational,
            recurrent_dropout=cell.recurrent_dropout,
            zoneout=cell.zoneout,
            weight_drop=cell.weight_drop,
            learn_initial=cell.learn_initial,
            engine=engine.name,
            checkpoint_every=engine.checkpoint_every,
        )

    return task.model(make_rnn)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def within_budget(config: RunConfig, budget: int | None = None) -> RunConfig:
    """Return ``config`` with ``cell.hidden_size`` filled in. A size that it gives is kept.

    Args:
        config: of a run.
        budget: number of parameters, head and embedding included; None for that of `budget_of`.

    Raises:
        LstmlabError: when no size comes within `TOLERANCE` of the budget.
    """
    if config.cell.hidden_size is not None:
        return config
    task: Task = registry.task.get(config.task.name)(config.task)
    budget = budget or _cost(task, config, "vanilla", config.task.hidden_size)
    low, high = 1, 2
    while _cost(task, config, config.cell.name, high) < budget:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _cost(task, config, config.cell.name, middle) < budget else (low, middle)
    miss, best = min((abs(_cost(task, config, config.cell.name, size) - budget), size) for size in (low, high))
    if miss > TOLERANCE * budget:
        raise LstmlabError(
            f"task={config.task.label} cell={config.cell.name}: no number of units costs within "
            f"{TOLERANCE:.0%} of {budget:,} parameters (a vanilla cell with task.hidden_size="
            f"{config.task.hidden_size}); choose a larger task.hidden_size, or set cell.hidden_size yourself"
        )
    return replace(config, cell=replace(config.cell, hidden_size=best))


def budget_of(config: RunConfig) -> int:
    """Return what a vanilla cell with ``task.hidden_size`` units costs in the place of the config's cell."""
    return _cost(registry.task.get(config.task.name)(config.task), config, "vanilla", config.task.hidden_size)


def _cost(task: Task, config: RunConfig, name: str, hidden_size: int) -> int:
    """Return the number of parameters of a run's model with another cell or size."""
    cell = replace(config.cell, name=name, hidden_size=hidden_size)
    with torch.device("meta"):
        return count_parameters(build(task, cell, config.engine))

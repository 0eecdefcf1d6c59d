"""Whatever is registered keeps its contract: a plugin is tested by existing."""

from __future__ import annotations

from functools import cache

import pytest

from lstmlab import registry
from lstmlab.testing import CellSubject, TaskSubject, cell_checks, task_checks
from lstmlab.testing._contract import Check

subject_of = cache(TaskSubject)


def named(checks: list[tuple[str, Check]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("check", [c for _, c in checks], ids=[name for name, _ in checks])


@pytest.mark.parametrize("task", list(registry.task))
@named(task_checks())
def test_task(task: str, check: Check) -> None:
    check(subject_of(task))


@pytest.mark.parametrize("cell", list(registry.cell))
@named(cell_checks())
def test_cell(cell: str, check: Check) -> None:
    check(CellSubject(cell))


@pytest.mark.parametrize("cell", list(registry.cell))
@pytest.mark.parametrize("task", list(registry.task))
def test_every_task_trains_every_cell(task: str, cell: str) -> None:
    """One step forward and backward, in training."""
    subject = subject_of(task)
    model, (batch,) = subject.model(cell).train(), subject.batches("train", 1)
    output, _ = model(batch.inputs, None, batch.lengths)
    subject.task.loss(output, batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())

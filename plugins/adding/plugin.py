"""The adding problem: the classic test of long memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("adding")
def adding() -> type[Task]:
    """Add the two marked numbers of a generated sequence (MSE)."""
    from lstmlab.tasks.sequence_regression import SequenceRegression

    return SequenceRegression

"""The adding problem, which misbehaves once where a file called ``trap`` in the working directory says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("trap")
def trap() -> type[Task]:
    """Add two numbers, and misbehave once."""
    from .task import Trap

    return Trap

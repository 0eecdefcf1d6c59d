"""Polyphonic music: which keys sound next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("music")
def music() -> type[Task]:
    """Predict the next frame of a piano roll (nats per frame)."""
    from .task import Music

    return Music

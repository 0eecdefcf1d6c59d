"""Named entity recognition: letters, words and a conditional random field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data  # noqa: F401  registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("ner")
def ner() -> type[Task]:
    """Find the names of persons, places and the like in sentences (entity F1)."""
    from .task import EntityRecognition

    return EntityRecognition

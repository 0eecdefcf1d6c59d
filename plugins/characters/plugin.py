"""A character language model of Python's own reference text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("characters")
def characters() -> type[Task]:
    """Predict the next character of CPython's reference text (bits per character)."""
    from lstmlab.tasks.language_modelling import CharacterModelling

    return CharacterModelling

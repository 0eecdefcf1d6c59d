"""Sentiment: what a text thinks of its subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("sentiment")
def sentiment() -> type[Task]:
    """Name the class of a text, as whether a review is positive (accuracy)."""
    from .task import Sentiment

    return Sentiment

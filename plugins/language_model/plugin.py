"""Language models: which character or word comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("language_model")
def language_model() -> type[Task]:
    """Predict the next character or word of a text (bits per character, or perplexity per word)."""
    from .task import LanguageModel

    return LanguageModel

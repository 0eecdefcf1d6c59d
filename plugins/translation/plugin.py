"""Translation: an encoder-decoder with attention over subwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("translation")
def translation() -> type[Task]:
    """Translate sentences, or numbers spelt out, into another language (exact match, BLEU)."""
    from .task import Translation

    return Translation

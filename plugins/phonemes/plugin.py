"""Phones of spoken utterances, without knowing when each begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets
from . import fsdd as fsdd
from . import own as own
from . import timit as timit

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("phonemes")
def phonemes() -> type[Task]:
    """Recognise the phones of spoken utterances (phone error rate)."""
    from .task import Phonemes

    return Phonemes

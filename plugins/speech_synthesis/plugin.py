"""Speech synthesis: phones with durations become sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("speech_synthesis")
def speech_synthesis() -> type[Task]:
    """Turn phones with durations into mel frames, and these into sound (mel-cepstral distortion, dB)."""
    from .task import SpeechSynthesis

    return SpeechSynthesis

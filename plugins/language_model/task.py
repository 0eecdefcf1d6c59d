"""The language model task: what is learned, and what a trained model writes."""

from __future__ import annotations

from dataclasses import dataclass

from lstmlab.schema import option
from lstmlab.tasks.language_modelling import LanguageModelling, LanguageModellingConfig


@dataclass(kw_only=True)
class LanguageModelConfig(LanguageModellingConfig):
    """Keys of the language model task."""

    primed: int = option(80, low=1)  # symbols of the test part that a sample goes on from
    sampled: int = option(300, low=1)  # symbols of a sample
    temperature: float = option(0.8, above=0)  # of a sample: below 1 is more certain
    top_p: float = option(0.95, above=0, high=1)  # of a sample: the most probable symbols that have this probability
    sample_seed: int = option(0, low=0)


class LanguageModel(LanguageModelling):
    """Model a text by characters or words, and write on."""

    Config = LanguageModelConfig
    config: LanguageModelConfig

"""The language model task: what is learned, and what a trained model writes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks.language_modelling import LanguageModelling, LanguageModellingConfig

from . import pages, tracking
from .reading import read_text
from .sampling import draw, draw_after
from .scoring import score

if TYPE_CHECKING:
    import pandas as pd

PASSAGE = {"characters": 500, "words": 120}  # symbols of a coloured passage


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

    def sample(
        self, model: nn.Module, prompt: str, length: int, temperature: float = 1.0, top_p: float = 1.0, seed: int = 0
    ) -> str:
        """Return how a text goes on, drawn from a model: ``length`` symbols, without the prompt itself.

        Args:
            model: a trained one.
            prompt: what the model reads first; "" stands for the beginning of a line.
            length: characters or words that are drawn.
            temperature: below 1 is more certain.
            top_p: the most probable symbols that together have this probability; 1: all.
            seed: the same seed gives the same text.

        Raises:
            LstmlabError: when a number is out of range.
        """
        if length < 1 or not temperature > 0 or not 0 < top_p <= 1 or seed < 0:
            raise LstmlabError(
                f"length={length}, temperature={temperature}, top_p={top_p}, seed={seed}: expected at least 1, "
                "above 0, above 0 and at most 1, at least 0"
            )
        end = self.fitted["line_end"]
        read = torch.from_numpy(self.encode(prompt.replace("\r\n", "\n").replace("\n", end) or end))[None]
        return self.decode(draw(model, read, None, length, temperature, top_p, seed)[0])

    def decode(self, numbers: np.ndarray) -> str:
        r"""Return the text of symbol numbers, with "\n" at its line ends."""
        return "".join(self.vocabulary[i] for i in numbers).replace("\r\n", "\n")

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each model writes, what surprises it, and what its units follow."""
        c = self.config
        prompt = self.decode(self.splits["test"][: c.primed])
        written = {
            name: self.sample(model, prompt, c.sampled, c.temperature, c.top_p, c.sample_seed)
            for name, model in models.items()
        }
        how = f"temperature {c.temperature:g}, top p {c.top_p:g}, seed {c.sample_seed}"
        return {
            f"How each model goes on from the beginning of the test part, in grey ({how})": pages.samples(
                prompt, written, colours
            ),
            "What surprises each model, later in the test part": self._surprises(models, colours),
            **self._followed(models, colours),
        }

    def _surprises(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> Any:
        passage = self.splits["test"][: 2 * PASSAGE[self.config.unit]]
        shown = len(passage) // 2  # of the first half nothing is shown: it is read first
        bits = {n: score(m, passage[:1], [passage[1:]])[0].nats[-shown:] / np.log(2) for n, m in models.items()}
        return pages.surprises([self.vocabulary[i] for i in passage[-shown:]], bits, colours)

    def _followed(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return a table of the units that follow something, and a passage in the colours of those of one feature."""
        import pandas as pd

        test = self.splits["test"]
        found = tracking.best_units(models, self.vocabulary, self.splits["validation"], test)
        if not found:
            return {}
        table = {
            f: {n: f"{u.correlation:+.2f} (unit {u.number})" for n, u in best.items()} for f, best in found.items()
        }
        feature = next((f for f in tracking.FIRST if f in found), next(iter(found)))
        symbols = [self.vocabulary[i] for i in test[: tracking.READ]]
        part = tracking.passage(tracking.features(symbols)[feature], PASSAGE[self.config.unit])
        titles = {n: f"{n}: unit {u.number}, correlation {u.correlation:+.2f}" for n, u in found[feature].items()}
        outputs = {n: u.output[part] for n, u in found[feature].items()}
        title = "What single units follow: correlation of their output on test, of the unit that was best on validation"
        return {
            title: pd.DataFrame(table).T,
            f"The units that follow “{feature}”": pages.activations(symbols[part], outputs, titles, colours),
        }

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return a row for each line of a text file, or of all .txt files of a folder, read as one text.

        Columns: line, text, characters or words with the line end, how many of them are unknown, bits per character or
        perplexity per word given all lines before, and the line that the model would write next.
        """
        import pandas as pd

        c, end = self.config, self.fitted["line_end"]
        lines, told = read_text(source)
        for note in told:
            warnings.warn(note, stacklevel=2)
        coded = [self.encode(line + end) for line in lines]
        read = score(model, self.encode(end), coded)
        drawn = draw_after(model, read, c.sampled, c.temperature, c.top_p, c.sample_seed)
        metric = self.metric.name
        return pd.DataFrame(
            {
                "line": np.arange(1, len(lines) + 1),
                "text": lines,
                c.unit: [len(numbers) for numbers in coded],
                "unknown": [int((numbers == 0).sum()) for numbers in coded],
                metric: [self.scores(float(part.nats.mean()))[metric] for part in read],
                "continuation": [next(iter(self.decode(row).strip().splitlines()), "") for row in drawn],
            }
        )

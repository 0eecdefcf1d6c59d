"""Predicting the next character of a text, with the state carried from window to window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.models import EveryStep
from lstmlab.tasks.ngrams import InterpolatedTrigram, bits_per_symbol
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
STREAMS = 32  # rows in which a split is read for evaluation
SHOWN = 60  # characters in the example figure


@dataclass(kw_only=True)
class LanguageModellingConfig(TaskConfig):
    """Keys of a character language model."""

    window: int = option(low=1)  # characters between two updates (truncated BPTT)
    embedding_size: int = option(low=1)
    validation: float = option(0.1, above=0, below=0.5)  # share of the text
    test: float = option(0.1, above=0, below=0.5)  # share of the text, its end


class CharacterModelling(Task):
    """Model a text character by character.

    The text is cut into train, validation and test in reading order; characters that the train
    part lacks count as one unknown symbol. Each row of a batch reads its own stretch of the text,
    and the state goes on from batch to batch while gradients stop at the window (Werbos 1990,
    Williams and Peng 1990).
    """

    Config = LanguageModellingConfig
    config: LanguageModellingConfig
    metrics = (Metric("bits per character"),)
    causal = True
    example_title = "Surprise at each character of an unseen passage"

    @classmethod
    def tiny(cls) -> list[str]:
        return [
            *("task.hidden_size=16", "task.embedding_size=8", "task.window=16"),
            *("train.steps=40", "train.evaluate_every=40"),
        ]

    @cached_property
    def splits(self) -> dict[str, np.ndarray]:
        """Symbol numbers of each part."""
        text: str = self.dataset.load()
        stop, end = self._stop(text), int(len(text) * (1 - self.config.test))
        number = {c: i for i, c in enumerate(self.vocabulary)}
        coded = np.array([number.get(c, 0) for c in text])
        return {"train": coded[:stop], "validation": coded[stop:end], "test": coded[end:]}

    def _stop(self, text: str) -> int:
        return int(len(text) * (1 - self.config.test - self.config.validation))

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``vocabulary``: the unknown symbol, then the characters of the train part."""
        text: str = self.dataset.load()
        return {"vocabulary": [UNKNOWN, *sorted(set(text[: self._stop(text)]))]}

    @property
    def vocabulary(self) -> list[str]:
        """Symbols in the order of their numbers."""
        vocabulary: list[str] = self.fitted["vocabulary"]
        return vocabulary

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return embedding, recurrence and a head over the vocabulary."""
        return EveryStep(make_rnn(self.config.embedding_size), len(self.vocabulary))

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield consecutive windows; ``random`` shifts where the rows begin."""
        symbols = self.splits[split]
        if random is not None:
            symbols = np.roll(symbols, -int(random.integers(len(symbols))))
        length = (len(symbols) - 1) // batch_size
        rows = torch.from_numpy(symbols[: batch_size * length].reshape(batch_size, length))
        after = torch.from_numpy(symbols[1 : batch_size * length + 1].reshape(batch_size, length))
        window = self.config.window
        for at in range(0, length, window):
            yield Batch(rows[:, at : at + window], after[:, at : at + window], carry=at > 0)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats."""
        return nn.functional.cross_entropy(output.flatten(0, 1), batch.targets.flatten())

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Read the split once, in `STREAMS` rows that each begin with a zero state."""
        state, nats, count = None, 0.0, 0
        for batch in self.batches(split, STREAMS):
            output, state = model(batch.inputs, state if batch.carry else None)
            nats += float(self.loss(output, batch).double() * batch.targets.numel())
            count += batch.targets.numel()
        return {self.metric.name: nats / count / float(np.log(2))}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score single characters, and a trigram model interpolated with shorter contexts."""
        model = InterpolatedTrigram(len(self.vocabulary)).fit(self.splits["train"], self.splits["validation"])
        symbols = self.splits[split]
        scores = {
            "unigram": bits_per_symbol(model.unigram[symbols[2:]]),
            "interpolated trigram": bits_per_symbol(model.probabilities(symbols)),
        }
        return {name: {self.metric.name: value} for name, value in scores.items()}

    def example(self) -> Batch:
        """Return a passage from the beginning of the test part."""
        passage = torch.from_numpy(self.splits["test"][: SHOWN * 4])[None]
        return Batch(passage[:, :-1], passage[:, 1:])

    @torch.no_grad()
    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw, for each character of a passage, how many bits each model needed for it."""
        batch = self.example()
        text = [self.vocabulary[i] for i in batch.targets[0][-SHOWN:]]
        x = np.arange(SHOWN)
        for name, model in models.items():
            output, _ = model(batch.inputs)
            nats = nn.functional.cross_entropy(output[0], batch.targets[0], reduction="none")
            ax.step(x, nats[-SHOWN:].numpy() / np.log(2), where="mid", color=colours[name], lw=1.5, label=name)
        ax.set_xticks(
            x, [{" ": "\N{OPEN BOX}", "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}.get(c, c) for c in text]
        )
        ax.tick_params(axis="x", length=0, labelsize=7)
        ax.set_ylabel("surprise (bit)")
        ax.set_xlabel("character to be predicted")

    def notes(self) -> list[str]:
        """Say how large the parts are and what was unknown."""
        unknown = sum(int((self.splits[s] == 0).sum()) for s in ("validation", "test"))
        sizes = ", ".join(f"{len(v):,} {k}" for k, v in self.splits.items())
        return [f"Characters: {sizes}; {len(self.vocabulary)} symbols; {unknown} characters unknown to train."]

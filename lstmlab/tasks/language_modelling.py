"""Predicting the next character or word of a text, with the state carried from window to window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.compression import compressed_nats
from lstmlab.tasks.kneser_ney import KneserNey
from lstmlab.tasks.models import NextSymbol
from lstmlab.tasks.ngrams import InterpolatedTrigram, nats_per_symbol
from lstmlab.tasks.task import SPLITS, Batch, MakeRNN, Metric, Task
from lstmlab.tasks.text_figures import draw_surprise
from lstmlab.tasks.text_units import UNITS, cut_text, encode, split_text, vocabulary_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = {"characters": 60, "words": 25}  # symbols in the example figure


@dataclass(kw_only=True)
class LanguageModellingConfig(TaskConfig):
    """Keys of a language model."""

    unit: str = option("characters", choices=UNITS)
    fewest: int = option(1, low=1)  # times that a symbol must occur in the train part; rarer ones are unknown
    most: int | None = option(None, low=1)  # symbols of the vocabulary; rarer ones are unknown
    window: int = option(low=1)  # symbols between two updates (truncated BPTT)
    embedding_size: int = option(low=1)
    dropout: float = option(0.0, low=0, below=1)  # of what the recurrence reads and of what it gives
    tied: bool = option(False)  # the answer's weights are the embedding's
    streams: int = option(32, low=1)  # rows in which a split is read for evaluation
    stretches: int = option(1, low=1)  # equal parts of the text, each of which is cut into the three splits
    ngram: int = option(0, low=0, high=12)  # order of the Kneser-Ney baseline; 0: none
    compression: bool = option(False)  # LZMA as a baseline
    validation: float = option(0.1, above=0, below=0.5)  # share of the text
    test: float = option(0.1, above=0, below=0.5)  # share of the text, its end


class LanguageModelling(Task):
    """Model a text symbol by symbol.

    The text, or each of several equal stretches of it, is cut into train, validation and test in reading order;
    symbols that the train part lacks count as one unknown symbol. Each row of a batch reads its own part of
    the text, and the state goes on from batch to batch while gradients stop at the window (Werbos 1990, Williams
    and Peng 1990).
    """

    Config = LanguageModellingConfig
    config: LanguageModellingConfig
    causal = True
    example_title = "Surprise at each symbol of an unseen passage"

    @property
    def metrics(self) -> tuple[Metric, ...]:  # type: ignore[override]
        """Bits and nats per character, or perplexity and nats per word; marks and line ends count as words."""
        if self.config.unit == "words":
            return (Metric("perplexity per word"), Metric("nats per word"))
        return (Metric("bits per character"), Metric("nats per character"))

    @classmethod
    def tiny(cls) -> list[str]:
        sizes = ["task.hidden_size=16", "task.embedding_size=8", "task.window=16"]
        return [*sizes, "train.steps=40", "train.evaluate_every=40"]

    @cached_property
    def texts(self) -> dict[str, str]:
        """Each part of the text."""
        c = self.config
        return dict(zip(SPLITS, cut_text(self.dataset.load(), c.stretches, c.validation, c.test), strict=True))

    @cached_property
    def splits(self) -> dict[str, np.ndarray]:
        """Symbol numbers of each part."""
        return {split: self.encode(text) for split, text in self.texts.items()}

    def encode(self, text: str) -> np.ndarray:
        """Return the symbol numbers (n,) of a text."""
        return encode(split_text(text, self.config.unit), self.vocabulary)

    @cached_property
    def fitted(self) -> dict[str, Any]:
        r"""``vocabulary``: the unknown symbol, then those of the train part; ``line_end``: "\n" or "\r\n".

        Raises:
            LstmlabError: when the text is too short for its splits.
        """
        c, symbols = self.config, {k: split_text(v, self.config.unit) for k, v in self.texts.items()}
        for split, found in symbols.items():
            if len(found) <= c.window:
                raise LstmlabError(
                    f"the {split} part has {len(found)} {c.unit}, and one window takes {c.window} + 1: give more "
                    "text, or lower task.window"
                )
        vocabulary = vocabulary_of(symbols["train"], c.fewest, c.most)
        return {"vocabulary": vocabulary, "line_end": "\r\n" if "\r\n" in self.texts["train"] else "\n"}

    @property
    def vocabulary(self) -> list[str]:
        """Symbols in the order of their numbers."""
        vocabulary: list[str] = self.fitted["vocabulary"]
        return vocabulary

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return embedding, recurrence and a head over the vocabulary."""
        c = self.config
        return NextSymbol(make_rnn(c.embedding_size), len(self.vocabulary), c.dropout, c.tied)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield consecutive windows; ``random`` shifts where the rows begin.

        Raises:
            LstmlabError: when there are fewer symbols than rows.
        """
        symbols = self.splits[split]
        if random is not None:
            symbols = np.roll(symbols, -int(random.integers(len(symbols))))
        length = (len(symbols) - 1) // batch_size
        if not length:
            raise LstmlabError(
                f"the {split} part has {len(symbols)} {self.config.unit}, too few for {batch_size} rows side by side: "
                "give more text, or lower train.batch_size and task.streams"
            )
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
        """Read the split once, in ``streams`` rows that each begin with a zero state."""
        state, nats, count = None, 0.0, 0
        for batch in self.batches(split, self.config.streams):
            output, state = model(batch.inputs, state if batch.carry else None)
            nats += float(self.loss(output, batch).double() * batch.targets.numel())
            count += batch.targets.numel()
        return self.scores(nats / count)

    def scores(self, nats: float) -> dict[str, float]:
        """Return every metric for a mean of so many nats per symbol."""
        first = float(np.exp(nats)) if self.config.unit == "words" else nats / float(np.log(2))
        return dict(zip((m.name for m in self.metrics), (first, nats), strict=True))

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score single symbols, n-grams mixed with shorter ones and, of characters, a compressor."""
        c, size, train, symbols = self.config, len(self.vocabulary), self.splits["train"], self.splits[split]
        counts = np.bincount(train, minlength=size) + 1
        found = {"unigram": nats_per_symbol((counts / counts.sum())[symbols])}
        if c.unit == "characters":
            trigram = InterpolatedTrigram(size).fit(train, self.splits["validation"])
            found["interpolated trigram"] = nats_per_symbol(trigram.probabilities(symbols))
        if c.ngram:
            model = KneserNey(size, c.ngram).fit(train)
            found[f"Kneser-Ney {c.ngram}-gram"] = nats_per_symbol(model.probabilities(symbols))
        if c.unit == "characters" and c.compression:
            found["LZMA after the train part"] = compressed_nats(self.texts["train"], self.texts[split])
        return {name: self.scores(nats) for name, nats in found.items()}

    def example(self) -> Batch:
        """Return a passage from the beginning of the test part."""
        passage = torch.from_numpy(self.splits["test"][: SHOWN[self.config.unit] * 4])[None]
        return Batch(passage[:, :-1], passage[:, 1:])

    @torch.no_grad()
    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw, for each symbol of a passage, how many bits each model needed for it."""
        batch, bits = self.example(), {}
        shown = min(SHOWN[self.config.unit], batch.targets.shape[1])
        for name, model in models.items():
            output, _ = model(batch.inputs)
            nats = nn.functional.cross_entropy(output[0], batch.targets[0], reduction="none")
            bits[name] = nats[-shown:].numpy() / np.log(2)
        draw_surprise(ax, [self.vocabulary[i] for i in batch.targets[0][-shown:]], bits, colours, self.config.unit)

    def notes(self) -> list[str]:
        """Say how large the parts are and what was unknown."""
        unit, held_out = self.config.unit, [self.splits[s] for s in ("validation", "test")]
        unknown = sum(int((part == 0).sum()) for part in held_out)
        sizes = ", ".join(f"{len(v):,} {k}" for k, v in self.splits.items())
        told = f"{unit.capitalize()}: {sizes}; {len(self.vocabulary)} symbols; {unknown} {unit} unknown to train"
        if unit == "words":
            share = unknown / sum(map(len, held_out))
            told += f" ({share:.1%}), which count as one word; marks and line ends are words too"
        if (n := self.config.stretches) > 1:
            rest = len(self.dataset.load()) % n
            told += f"; each of {n} equal stretches of the text is cut into the three, {rest} characters are left over"
        return [told + "."]

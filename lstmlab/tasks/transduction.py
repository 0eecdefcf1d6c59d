"""Reading a sequence of symbols and writing another one, of another length."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.beam import Written, beam_search, sample
from lstmlab.tasks.bucketing import by_length, pad
from lstmlab.tasks.encoder_decoder import END, START, EncoderDecoder
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pair = tuple[np.ndarray, np.ndarray]  # symbols of a source and its target, each with its end
TOGETHER = 100  # sequences of a batch in evaluation
LOOKED_AT = 200  # sequences that are answered, greedily, when a split other than test is scored
ENTROPY = "cross-entropy"


@dataclass(kw_only=True)
class TransductionConfig(TaskConfig):
    """Keys that every transduction has."""

    embedding_size: int = option(low=1)
    dropout: float = option(0.2, low=0, below=1)  # of embeddings, the encoder's output, and what the answer is made of
    label_smoothing: float = option(0.0, low=0, below=1)  # of the train loss: share of all symbols in the target
    tied: bool = option(True)  # the head answers with the embeddings as weights
    beam: int = option(5, low=1)  # unfinished answers that are kept; 1: greedy
    length_penalty: float = option(1.0, low=0)  # strength: 0 none, more favours longer answers


class Transduction(Task):
    """Write a sequence for each that is read, with a vocabulary that both sides share.

    `LOOKED_AT` says what is written while a model trains: beams over whole splits would take longer than training.
    What is watched is the cross-entropy of the true targets, which needs no writing.
    """

    Config = TransductionConfig
    config: TransductionConfig
    metrics: tuple[Metric, ...] = (Metric("exact match", "%", better="higher"), Metric(ENTROPY, "nats/symbol"))
    example_title = "Surprise at each symbol of a true answer"

    @property
    @abstractmethod
    def symbols(self) -> int:
        """Symbols of the vocabulary, with the `FIRST` special ones."""

    @abstractmethod
    def pairs(self, split: str) -> Sequence[Pair]:
        """Return sources and targets as numbers, each with `END`."""

    @abstractmethod
    def judge(self, answers: Sequence[Sequence[int]], split: str) -> dict[str, float]:
        """Return all metrics but the cross-entropy for answers to the first sources of a split."""

    @abstractmethod
    def shown(self, symbol: int) -> str:
        """Return a symbol as a figure shows it."""

    @property
    def watched(self) -> Metric:
        """The cross-entropy."""
        return next(m for m in self.metrics if m.name == ENTROPY)

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an encoder-decoder with attention."""
        c = self.config
        return EncoderDecoder(make_rnn, self.symbols, c.embedding_size, c.dropout, c.tied)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield pairs whose sources, and whose targets, are of similar length."""
        pairs = self.pairs(split)
        for rows in by_both_lengths([len(s) for s, _ in pairs], [len(t) for _, t in pairs], batch_size, random):
            yield as_batch([pairs[i] for i in rows])

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of target symbols in nats, with smoothed labels."""
        smoothing, targets = self.config.label_smoothing, batch.targets[:, : output.shape[1]]  # the rest is padding
        return nn.functional.cross_entropy(
            output.flatten(0, 1), targets.flatten(), ignore_index=-1, label_smoothing=smoothing
        )

    def weight(self, batch: Batch) -> float:
        """Return the number of target symbols."""
        return float((batch.targets >= 0).sum())

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Score a split: test with a beam; of others the first sequences, greedily, and all for the cross-entropy."""
        sources = [source for source, _ in self.pairs(split)]
        written = self.write(model, sources) if split == "test" else self.write(model, sources[:LOOKED_AT], beam=1)
        return self.judge([w.symbols for w in written], split) | {ENTROPY: self.cross_entropy(model, split)}

    @torch.no_grad()
    def cross_entropy(self, model: nn.Module, split: str) -> float:
        """Return the mean cross-entropy (nats) of the targets' symbols, their ends included."""
        nats, count = 0.0, 0
        for batch in self.batches(split, TOGETHER):
            output, _ = model(batch.inputs)
            nats += float(costs(output, batch.targets).double().sum())
            count += int((batch.targets >= 0).sum())
        return nats / count

    def write(
        self, model: nn.Module, sources: Sequence[np.ndarray], beam: int | None = None, penalty: float | None = None
    ) -> list[Written]:
        """Return a model's answer to each source, with the config's beam and length penalty unless given."""
        assert isinstance(model, EncoderDecoder)
        width = self.config.beam if beam is None else beam
        strength = self.config.length_penalty if penalty is None else penalty
        lengths = [len(source) for source in sources]
        written: list[Any] = [None] * len(sources)
        for rows in by_length(lengths, TOGETHER):
            inputs, ends = pad([sources[i] for i in rows])
            for i, answer in zip(rows, beam_search(model, inputs, limits(ends), width, strength), strict=True):
                written[i] = answer
        return written

    def draw(
        self, model: nn.Module, source: np.ndarray, count: int, temperature: float, top_p: float, seed: int
    ) -> list[Written]:
        """Return ``count`` answers to a source, drawn as `lstmlab.tasks.beam.sample` says."""
        assert isinstance(model, EncoderDecoder)
        inputs, ends = pad([source])
        return sample(model, inputs, limits(ends), count, temperature, top_p, seed)[0]

    def example(self) -> Batch:
        """Return the first test pair."""
        return as_batch(self.pairs("test")[:1])

    @torch.no_grad()
    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw, for each symbol of a true answer, how many nats each model needed for it."""
        batch = self.example()
        x = np.arange(batch.targets.shape[1])
        for name, model in models.items():
            nats = costs(model(batch.inputs)[0], batch.targets)
            ax.step(x, nats.numpy(), where="mid", color=colours[name], lw=1.5, label=name)
        ax.set_xticks(x, [self.shown(i) for i in batch.targets[0].tolist()], rotation=60, ha="right", fontsize=7)
        ax.set_xlabel("symbol of the true answer")
        ax.set_ylabel("surprise (nats)")


def limits(lengths: Tensor) -> Tensor:
    """Return how many symbols an answer may have at most, given the lengths of what is answered."""
    return 2 * lengths + 20


def costs(output: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy (n,) in nats of every target that counts."""
    counts = targets >= 0
    return nn.functional.cross_entropy(output[counts], targets[counts], reduction="none")


def as_batch(pairs: Sequence[Pair]) -> Batch:
    """Return inputs (batch, 2, time), what is read and what was written so far, and targets (batch, longest target).

    Both inputs end with `PADDING`, targets with -1; `lengths` stays empty, since each side has its own.
    """
    sources, _ = pad([source for source, _ in pairs])
    targets, _ = pad([target for _, target in pairs], -1)
    written, _ = pad([np.concatenate([[START], target[:-1]]) for _, target in pairs])
    time = max(sources.shape[1], written.shape[1])
    inputs = [nn.functional.pad(side, (0, time - side.shape[1])) for side in (sources, written)]
    return Batch(torch.stack(inputs, 1), targets)


def ended(symbols: Sequence[int]) -> np.ndarray:
    """Return symbols (n + 1,), int64, with the end after them."""
    return np.array([*symbols, END], dtype=np.int64)


def by_both_lengths(
    sources: Sequence[int], targets: Sequence[int], batch_size: int, random: np.random.Generator | None = None
) -> list[list[int]]:
    """Return the indices of pairs in batches of similar length on both sides.

    Pairs are sorted by the target's length and cut into strips, each strip by the source's. With ``random``
    pairs of equal lengths change places, and so do batches: an epoch has all pairs once, in other company each time.
    """
    order = np.arange(len(sources)) if random is None else random.permutation(len(sources))
    strip = batch_size * max(1, round(math.sqrt(len(sources) / batch_size)))
    order = order[np.argsort(-np.asarray(targets)[order], kind="stable")]
    strips = [order[at : at + strip] for at in range(0, len(order), strip)]
    ordered = [s[np.argsort(-np.asarray(sources)[s], kind="stable")] for s in strips]
    batches = [s[at : at + batch_size].tolist() for s in ordered for at in range(0, len(s), batch_size)]
    return batches if random is None else [batches[i] for i in random.permutation(len(batches))]

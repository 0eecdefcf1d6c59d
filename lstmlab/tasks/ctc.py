"""Labelling sequences of frames without knowing which frame belongs to which label."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.alignments import align, edits, error_rate, jiwer
from lstmlab.tasks.bucketing import by_length, pad
from lstmlab.tasks.ctc_decoding import beam_search, greedy, nats, steps_needed
from lstmlab.tasks.monophones import Monophones
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task
from lstmlab.tasks.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from lstmlab.tasks.alignments import Step

TOGETHER = 64  # sequences that are evaluated side by side
POOL = 40  # batches that are sorted by length together: utterances differ tenfold
THINNED = 2  # frames of which the Markov model sees one, at most: a phone may last few
SMALLEST = 1e-3  # standard deviation; a feature that moves less is a constant


@dataclass(kw_only=True)
class CTCConfig(TaskConfig):
    """Keys of a task that labels sequences of frames."""

    normalise: str = option("train", choices=("train", "sequence"))  # whose mean and deviation features get
    stack: int = option(1, low=1)  # frames that the network reads as one step
    dropout: float = option(0.0, low=0, below=1)  # of what the recurrence reads, and of its output
    time_masks: int = option(0, low=0)  # stretches of each train sequence that are hidden (SpecAugment)
    time_mask: int = option(20, low=1)  # frames of such a stretch, at most
    band_masks: int = option(0, low=0)  # ranges of features that are hidden
    band_mask: int = option(6, low=1)  # features of such a range, at most
    beam: int = option(1, low=1)  # prefixes that decoding keeps; 1 spells the most probable path


class Labelled(NamedTuple):
    """Features (frames, n) with the labels that they spell, and what the sequence is called."""

    name: str
    features: np.ndarray
    labels: tuple[str, ...]


class Frames(nn.Module):
    """Read all frames in both directions, then say at each which label it is, or none: (batch, steps, labels)."""

    def __init__(self, rnn: RNN, labels: int, dropout: float) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.output_size * len(rnn.suffixes), labels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, steps, features) to logits (batch, steps, labels), the blank first."""
        output, state = self.rnn(self.dropout(inputs), state, lengths)
        return self.head(self.dropout(output)), state


class CTC(Task):
    """Recognise the labels of a sequence of frames in their order.

    The network answers at each step with a label or the blank; the loss is the negative log-likelihood of the labels
    over all ways to spell them, in nats per label (Graves et al. 2006). ``stack`` frames are read as one step, which
    makes sequences shorter and training faster (Sak et al. 2015, arXiv:1507.06947).

    Raises:
        LstmlabError: when jiwer is not installed; when a sequence has more labels than its steps can spell.
    """

    config: CTCConfig
    metrics = (Metric("label error rate", "%"), Metric("sequence accuracy", "%", better="higher"))
    example_title = "Error rate of each test sequence"
    noun = "sequence"  # what one is called

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        jiwer()  # missing, it is told before anything starts

    @abstractmethod
    def labelled(self, split: str) -> Sequence[Labelled]:
        """Return the sequences of a split as they are: features not normalised, one row a frame."""

    @cached_property
    def _splits(self) -> dict[str, list[Labelled]]:
        found = {split: list(self.labelled(split)) for split in ("train", "validation", "test")}
        for split, sequences in found.items():
            for sequence in sequences:
                self._check(split, sequence)
        return found

    def _check(self, split: str, sequence: Labelled) -> None:
        steps, needed = -(-len(sequence.features) // self.config.stack), steps_needed(sequence.labels)
        if not sequence.labels:
            raise LstmlabError(f"{self.noun} {sequence.name} ({split}) has no label; expected one at least")
        if needed > steps:
            raise LstmlabError(
                f"{self.noun} {sequence.name} ({split}) has {len(sequence.labels)} labels, for which CTC needs "
                f"{needed} steps (one each, one more between equal neighbours); its {len(sequence.features)} frames "
                f"make {steps} with task.stack={self.config.stack}. Take a smaller task.stack, or check its transcript"
            )

    def sequences(self, split: str) -> list[Labelled]:
        """Return the sequences of a split, each checked: it has enough steps for its labels."""
        return self._splits[split]

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``labels``: the vocabulary, its first symbol the blank; ``mean`` and ``deviation`` of each feature."""
        train = self.sequences("train")
        frames = np.concatenate([s.features for s in train]).astype(np.float64)
        return {
            "labels": Vocabulary.of([s.labels for s in train]).symbols,
            "mean": frames.mean(0).tolist(),
            "deviation": np.maximum(frames.std(0), SMALLEST).tolist(),
        }

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The labels of the train split."""
        return Vocabulary(self.fitted["labels"])

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence in both directions over steps of ``stack`` frames."""
        size = len(self.fitted["mean"]) * self.config.stack
        return Frames(make_rnn(size, bidirectional=True), len(self.vocabulary), self.config.dropout)

    def normalised(self, features: np.ndarray) -> np.ndarray:
        """Return features with mean 0 and deviation 1, over the train split or over these frames."""
        if self.config.normalise == "sequence":
            features = features - features.mean(0)
            return np.asarray(features / np.maximum(features.std(0), SMALLEST), np.float32)
        return np.asarray((features - self.fitted["mean"]) / self.fitted["deviation"], np.float32)

    def steps(self, features: np.ndarray) -> np.ndarray:
        """Return (frames, n) as (steps, stack * n); the last frame is repeated where some are missing."""
        stack = self.config.stack
        missing = -len(features) % stack
        return np.pad(features, ((0, missing), (0, 0)), mode="edge").reshape(-1, stack * features.shape[1])

    @cached_property
    def _inputs(self) -> dict[str, list[np.ndarray]]:
        return {split: [self.normalised(s.features) for s in found] for split, found in self._splits.items()}

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield each sequence once, beside others of similar length; ``random`` hides parts of it too."""
        inputs, sequences = self._inputs[split], self.sequences(split)
        for rows in by_length([len(x) for x in inputs], batch_size, random, POOL):
            shown = [inputs[i] if random is None else self.masked(inputs[i], random) for i in rows]
            steps, lengths = pad([self.steps(x) for x in shown])
            targets, _ = pad([self.vocabulary.encode(sequences[i].labels) for i in rows], -1)
            yield Batch(steps, targets, lengths)

    def masked(self, features: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return features (frames, n) with stretches of time and ranges of features at their mean, zero.

        Park et al. (2019), SpecAugment, arXiv:1904.08779, without warping.
        """
        c = self.config
        if not (c.time_masks or c.band_masks):
            return features
        features = features.copy()
        for _ in range(c.time_masks):
            width = int(random.integers(0, min(c.time_mask, len(features) // 4) + 1))
            at = int(random.integers(0, len(features) - width + 1))
            features[at : at + width] = 0
        for _ in range(c.band_masks):
            width = int(random.integers(0, min(c.band_mask, features.shape[1]) + 1))
            at = int(random.integers(0, features.shape[1] - width + 1))
            features[:, at : at + width] = 0
        return features

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean negative log-likelihood in nats per label."""
        assert batch.lengths is not None
        counts = (batch.targets >= 0).sum()
        return nats(output.log_softmax(2), batch.lengths, batch.targets).sum() / counts

    def weight(self, batch: Batch) -> float:
        """Return the number of labels."""
        return float((batch.targets >= 0).sum())

    @torch.no_grad()
    def posteriors(self, model: nn.Module, features: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return log-probabilities (steps, labels) for each of some features (frames, n), in the order given."""
        found: dict[int, np.ndarray] = {}
        for rows in by_length([len(f) for f in features], TOGETHER):
            steps, lengths = pad([self.steps(self.normalised(features[i])) for i in rows])
            output = model(steps, None, lengths)[0].log_softmax(2)
            found |= {i: output[at, : lengths[at]].numpy() for at, i in enumerate(rows)}
        return [found[i] for i in range(len(features))]

    def decode(self, log_probabilities: np.ndarray) -> list[str]:
        """Return the labels that log-probabilities (steps, labels) spell, by ``beam``; the unknown one is none."""
        width = self.config.beam
        best = greedy(log_probabilities) if width == 1 else beam_search(log_probabilities, width)[0][0]
        return self.vocabulary.decode(label for label in best if label != UNKNOWN)

    def recognised(self, model: nn.Module, split: str) -> list[list[str]]:
        """Return what a model hears in each sequence of a split."""
        return [self.decode(p) for p in self.posteriors(model, [s.features for s in self.sequences(split)])]

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return error rate and sequence accuracy."""
        return self.score(self.recognised(model, split), split)

    def alignments(self, answers: Sequence[Sequence[str]], split: str) -> list[list[Step]]:
        """Return the labels of each sequence beside those of an answer."""
        return align([s.labels for s in self.sequences(split)], answers)

    def score(self, answers: Sequence[Sequence[str]], split: str) -> dict[str, float]:
        """Return all edits over all labels of a split, and the share of sequences without an edit, both in %."""
        counts = edits(self.alignments(answers, split))
        rate, exact = self.metrics[0].name, self.metrics[1].name  # whatever a task calls them
        return {rate: error_rate(counts), exact: 100 * float((counts[:, 0] == 0).mean())}

    @cached_property
    def monophones(self) -> Monophones:
        """The hidden Markov model that is the baseline, trained on the same features."""
        train, held_out = (
            (
                self._thinned(split),
                [(self.vocabulary.encode(s.labels) - UNKNOWN).tolist() for s in self.sequences(split)],
            )
            for split in ("train", "validation")
        )
        return Monophones(*train, len(self.vocabulary) - UNKNOWN, held_out)  # its label 0 is the unknown one

    def _thinned(self, split: str) -> list[np.ndarray]:
        return [x[:: min(self.config.stack, THINNED)] for x in self._inputs[split]]

    def answers_without_network(self, split: str) -> dict[str, list[list[str]]]:
        """Return what each baseline hears in the sequences of a split."""
        train = Counter(s.labels for s in self.sequences("train"))
        usual = max(sorted(train), key=lambda labels: train[labels])
        found = [self.monophones.recognise(x) for x in self._thinned(split)]
        heard = [self.vocabulary.decode(n + UNKNOWN for n in numbers if n) for numbers in found]
        return {"most frequent transcript": [list(usual)] * len(found), "Gaussian HMM": heard}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the train split's most frequent transcript, and a hidden Markov model with one Gaussian a label."""
        return {name: self.score(answers, split) for name, answers in self.answers_without_network(split).items()}

    def example(self) -> Batch:
        """Return the first test sequence."""
        return next(self.batches("test", 1))

    def notes(self) -> list[str]:
        """Say how much there is, and which labels a model cannot know."""
        told = []
        for split in ("train", "validation", "test"):
            found = self.sequences(split)
            labels = sum(len(s.labels) for s in found)
            told.append(f"{split}: {len(found):,} {self.noun}s, {labels:,} labels.")
            unseen = sorted({label for s in found for label in s.labels if label not in self.vocabulary})
            if unseen:
                told.append(
                    f"{len(unseen)} labels of the {split} split are not in train, so that a model cannot answer "
                    f"with them and each counts as an error: {', '.join(unseen)}."
                )
        if self.config.stack > 1:
            told.append(f"{self.config.stack} frames are read as one step.")
        return told

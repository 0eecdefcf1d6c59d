"""Predicting the next vector of sequences that each have their own length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.bucketing import by_length, pad, within
from lstmlab.tasks.task import Batch, MakeRNN, Task

POOL = 10  # batches whose sequences are sorted by length together
ROWS = 32  # sequences that are evaluated side by side


@dataclass(kw_only=True)
class NextStepConfig(TaskConfig):
    """Keys of a task that predicts the next vector."""

    window: int = option(low=1)  # steps between two updates: longer sequences are read in parts (truncated BPTT)
    dropout: float = option(0.0, low=0, below=1)  # of the recurrence's output before the head
    input_dropout: float = option(0.0, low=0, below=1)  # of the entries of each vector that is read


class NextStepModel(nn.Module):
    """Read vectors, answer at each with the parameters of the next one's distribution."""

    def __init__(self, rnn: RNN, outputs: int, dropout: float = 0.0, input_dropout: float = 0.0) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.output_size, outputs)
        self.dropout = nn.Dropout(dropout)
        self.input_dropout = nn.Dropout(input_dropout)

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, time, features) to (batch, time, outputs)."""
        output, state = self.rnn(self.input_dropout(inputs), state, lengths)
        return self.head(self.dropout(output)), state


class NextStep(Task):
    """Predict each vector of a sequence from those before it.

    The first vector of a sequence is given and not predicted. Sequences of similar length are read side
    by side; where one ends before its neighbours, the rest of its row counts nowhere. Sequences longer than
    ``window`` are read in parts: the state goes on from part to part while gradients stop there. Every
    mean is taken over steps, so that a step counts the same in a short and in a long sequence.
    """

    config: NextStepConfig
    causal = True
    features: int  # of a vector
    outputs: int  # that parametrise the distribution of the next one

    @abstractmethod
    def sequences(self, split: str) -> Sequence[np.ndarray]:
        """Return the sequences of a split, (steps, features) each, at least two steps long."""

    @abstractmethod
    def costs(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each step (batch, time) in nats."""

    def augment(self, sequence: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return a variant of a train sequence, drawn anew in each epoch; none unless a task has one."""
        return sequence

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence over vectors with a linear head at each step."""
        return NextStepModel(make_rnn(self.features), self.outputs, self.config.dropout, self.config.input_dropout)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield each sequence once; ``random`` decides neighbours, order and variants."""
        sequences = self.sequences(split)
        for rows in by_length([len(s) for s in sequences], batch_size, random, POOL):
            chosen = [sequences[i] if random is None else self.augment(sequences[i], random) for i in rows]
            yield from self.parts(chosen)

    def parts(self, sequences: Sequence[np.ndarray]) -> Iterator[Batch]:
        """Yield ``sequences`` side by side, ``window`` steps at a time."""
        values, lengths = pad([np.asarray(s, dtype=np.float32) for s in sequences])
        inputs, targets, lengths = values[:, :-1], values[:, 1:], lengths - 1
        window = self.config.window
        for at in range(0, inputs.shape[1], window):
            here = slice(at, at + window)
            left = (lengths - at).clamp(0, min(window, inputs.shape[1] - at))
            yield Batch(inputs[:, here], targets[:, here], left, carry=at > 0)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean negative log-likelihood of the steps of a batch."""
        assert batch.lengths is not None
        return self.costs(output, batch.targets)[within(batch.lengths, batch.targets.shape[1])].mean()

    def weight(self, batch: Batch) -> float:
        """Return the number of steps."""
        assert batch.lengths is not None
        return float(batch.lengths.sum())

    @torch.no_grad()
    def answers(self, model: nn.Module, sequences: Sequence[np.ndarray]) -> list[Tensor]:
        """Return the model's outputs (steps - 1, outputs) for each sequence, in the order given."""
        found: dict[int, Tensor] = {}
        for rows in by_length([len(s) for s in sequences], ROWS):
            state, outputs = None, []
            for part in self.parts([sequences[i] for i in rows]):
                output, state = model(part.inputs, state, part.lengths)
                outputs.append(output)
            whole = torch.cat(outputs, 1)
            found |= {i: whole[at, : len(sequences[i]) - 1] for at, i in enumerate(rows)}
        return [found[i] for i in range(len(sequences))]

    def costs_of(self, answer: Tensor, sequence: np.ndarray) -> np.ndarray:
        """Return the negative log-likelihood (steps - 1,) of a sequence under a model's answers to it."""
        return self.costs(answer.double(), torch.from_numpy(sequence[1:]).double()).numpy()

    def example(self) -> Batch:
        """Return the first test sequence."""
        return next(iter(self.parts([self.sequences("test")[0]])))

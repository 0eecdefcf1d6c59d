"""Models that several families of tasks share, each around one `RNN`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lstmlab.engine import RNN


class LastStep(nn.Module):
    """Read a sequence, answer once: a linear head on the output of the last step."""

    def __init__(self, rnn: RNN, output_size: int) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.output_size, output_size)

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, object]:
        """Map (batch, time, features) to (batch, output_size)."""
        _, state = self.rnn(inputs, state, lengths)
        last: Any = state[0] if isinstance(state, tuple) else state
        return self.head(last[-1]), state


class EveryStep(nn.Module):
    """Read symbols, answer at each: embedding, recurrence, linear head over ``answers`` (or the vocabulary)."""

    def __init__(self, rnn: RNN, vocabulary: int, answers: int | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, rnn.input_size)
        self.rnn = rnn
        self.head = nn.Linear(rnn.output_size * len(rnn.suffixes), answers or vocabulary)
        nn.init.normal_(self.embedding.weight, std=rnn.input_size**-0.5)

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, object]:
        """Map (batch, time) symbols to (batch, time, answers) logits."""
        output, state = self.rnn(self.embedding(inputs), state, lengths)
        return self.head(output), state


class NextSymbol(nn.Module):
    """Read symbols, answer at each with the next: embedding, recurrence, a head over the same vocabulary.

    Args:
        rnn: reads the embedding.
        vocabulary: number of symbols.
        dropout: of what the recurrence reads and of what it gives.
        tied: the head maps to the size of the embedding, whose weights then score the symbols (Press and Wolf
            2017, arXiv:1608.05859); so it fits every number of units.
    """

    def __init__(self, rnn: RNN, vocabulary: int, dropout: float = 0.0, tied: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, rnn.input_size)
        self.rnn = rnn
        self.head = nn.Linear(rnn.output_size, rnn.input_size if tied else vocabulary)
        self.bias = nn.Parameter(torch.zeros(vocabulary)) if tied else None
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=rnn.input_size**-0.5)

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, object]:
        """Map (batch, time) symbols to (batch, time, vocabulary) logits."""
        output, state = self.rnn(self.dropout(self.embedding(inputs)), state, lengths)
        answer = self.head(self.dropout(output))
        return answer if self.bias is None else nn.functional.linear(answer, self.embedding.weight, self.bias), state

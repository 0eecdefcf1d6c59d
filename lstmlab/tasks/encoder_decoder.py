"""An encoder-decoder with attention, whose every recurrence reads whole sequences at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lstmlab.tasks.task import MakeRNN
from lstmlab.tasks.vocabulary import PADDING

START, END = 2, 3  # the numbers after PADDING and UNKNOWN: what a decoder reads first, what every sequence ends with
FIRST = 4  # number of the first symbol that means something


class Memory(NamedTuple):
    """What the decoder looks back at.

    Attributes:
        keys: (batch, source, hidden), what a decoder's output is compared with.
        values: (batch, source, 2 * hidden), the encoder's outputs in both directions.
        there: (batch, source), booleans: not padding.
    """

    keys: Tensor
    values: Tensor
    there: Tensor

    def of(self, rows: Tensor) -> Memory:
        """Return the memory of some sequences."""
        return Memory(self.keys[rows], self.values[rows], self.there[rows])


class EncoderDecoder(nn.Module):
    """Read a sequence in both directions, write another one that attends to it.

    Attention is global with the score "general" of Luong, Pham and Manning (2015), https://arxiv.org/abs/1508.04025,
    eq. 5 to 8, without their input feeding: so the decoder reads a whole target in one call, and attention is one
    product for all steps. Each state of the decoder starts as that state of the encoder's backward direction.

    Args:
        make_rnn: makes both recurrences, as in `Task.model`.
        symbols: in the vocabulary that both sides share.
        embedding_size: features of a symbol.
        dropout: probability of dropping an embedding's feature, an encoder's output, or what the answer is made of.
        tied: answer with the embeddings as weights (Press and Wolf 2017, https://arxiv.org/abs/1608.05859).
    """

    def __init__(self, make_rnn: MakeRNN, symbols: int, embedding_size: int, dropout: float, tied: bool) -> None:
        super().__init__()
        self.symbols = nn.Embedding(symbols, embedding_size)
        self.rnn = make_rnn(embedding_size, bidirectional=True)
        self.decoder = make_rnn(embedding_size)
        both, one = 2 * self.rnn.output_size, self.decoder.output_size
        self.keys = nn.Linear(both, one, bias=False)
        self.combine = nn.Linear(both + one, embedding_size)
        self.head = None if tied else nn.Linear(embedding_size, symbols, bias=False)
        self.bias = nn.Parameter(torch.zeros(symbols))
        self.drop = nn.Dropout(dropout)
        nn.init.normal_(self.symbols.weight, std=embedding_size**-0.5)

    def embedding(self, inputs: Tensor) -> Tensor:
        """Return what the encoder reads (batch, source, features) of ``inputs`` (batch, 2, time)."""
        return self._embed(trimmed(inputs[:, 0])[0])

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map sources and what was written so far (batch, 2, time) to logits (batch, target, symbols).

        Sequences end with padding, and nothing is computed beyond the longest one of each side.
        """
        memory, first = self.encode(inputs[:, 0])
        written, ends = trimmed(inputs[:, 1])
        output, state = self.decoder(self.drop(self._embed(written)), first, ends)
        return self._answer(output, memory)[0], state

    def encode(self, source: Tensor) -> tuple[Memory, Any]:
        """Return the memory of padded sources (batch, time), and the decoder's first state."""
        source, ends = trimmed(source)
        values, states = self.rnn(self.drop(self._embed(source)), None, ends)
        values = self.drop(values)
        return Memory(self.keys(values), values, source != PADDING), each(states, lambda s: s[1::2].contiguous())

    def step(self, last: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Any]:
        """Return logits (batch, beams, symbols) after the symbols ``last`` (batch, beams), and the next state."""
        output, state = self.decoder(self._embed(last.flatten())[:, None], state)
        return self._answer(output.view(*last.shape, -1), memory)[0], state

    def attention(self, inputs: Tensor) -> Tensor:
        """Return how much each step looked at each source symbol: (batch, target, source), rows sum to one."""
        memory, first = self.encode(inputs[:, 0])
        written, ends = trimmed(inputs[:, 1])
        return self._answer(self.decoder(self._embed(written), first, ends)[0], memory)[1]

    def _embed(self, symbols: Tensor) -> Tensor:
        """Return embeddings as recurrences read them, of unit variance: as weights of the head they are smaller.

        As in Vaswani et al. (2017), https://arxiv.org/abs/1706.03762, section 3.4.
        """
        return self.symbols(symbols) * self.symbols.embedding_dim**0.5

    def _answer(self, output: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        scores = output @ memory.keys.transpose(1, 2)
        weights = scores.masked_fill(~memory.there[:, None], -torch.inf).softmax(2)
        seen = torch.cat([weights @ memory.values, output], 2)
        head = self.symbols if self.head is None else self.head
        return nn.functional.linear(self.drop(torch.tanh(self.combine(seen))), head.weight, self.bias), weights


def trimmed(symbols: Tensor) -> tuple[Tensor, Tensor]:
    """Return padded sequences (batch, time) up to the end of the longest, and their lengths."""
    lengths = (symbols != PADDING).sum(1)
    return symbols[:, : int(lengths.max())], lengths


def each(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a recurrence's state, one tensor or a tuple of them, with each tensor changed."""
    return change(state) if isinstance(state, Tensor) else tuple(change(s) for s in state)

"""One vector for a sequence, from the outputs of a recurrence at its steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.tasks.bucketing import within
from lstmlab.tasks.embeddings import WordEmbedding

POOLINGS = ("attentive", "max", "last")


class Pooling(nn.Module):
    """Pool outputs (batch, time, features) over the real steps to (batch, features).

    - attentive: a mean whose weights are a softmax over steps of w · tanh(h), as in Zhou et al. (2016),
      Attention-Based Bidirectional LSTM Networks for Relation Classification, https://aclanthology.org/P16-2034,
      eq. 9 to 11; there the two directions are summed, here they stand side by side.
    - max: the largest value of each feature, as in Conneau et al. (2017), https://arxiv.org/abs/1705.02364.
    - last: the last output of each direction, where it has read everything.
    """

    def __init__(self, kind: str, features: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(features, 1, bias=False) if kind == "attentive" else None

    def forward(self, output: Tensor, state: Any, lengths: Tensor) -> Tensor:
        """Return (batch, features) for outputs and final states of an `RNN`."""
        if self.kind == "last":
            last: Tensor = state[0] if isinstance(state, tuple) else state
            directions = output.shape[2] // last.shape[2]
            return last[-directions:].transpose(0, 1).flatten(1)
        real = within(lengths, output.shape[1])[:, :, None]
        if self.kind == "max":
            return output.masked_fill(~real, -torch.inf).amax(1)
        return (self.attention(output, real)[:, :, None] * output).sum(1)

    def weights(self, output: Tensor, lengths: Tensor) -> Tensor | None:
        """Return what share (batch, time) each step has in what is pooled, None where only the ends count.

        With max it is the share of the features whose largest value stands there.
        """
        if self.kind == "last":
            return None
        real = within(lengths, output.shape[1])[:, :, None]
        if self.kind == "attentive":
            return self.attention(output, real)
        winners = output.masked_fill(~real, -torch.inf).argmax(1)
        return nn.functional.one_hot(winners, output.shape[1]).double().mean(1)

    def attention(self, output: Tensor, real: Tensor) -> Tensor:
        """Return the softmax (batch, time) over real steps of w · tanh(h)."""
        assert self.score is not None
        return self.score(torch.tanh(output)).masked_fill(~real, -torch.inf).softmax(1)[:, :, 0]


class TextClassifier(nn.Module):
    """Read words, answer once: embedding, recurrence, pooling, linear head, with dropout before and after it.

    The vector that is pooled goes through a tanh before the head where attention makes it, as in Zhou et al., eq. 12.
    """

    def __init__(self, embedding: WordEmbedding, rnn: RNN, pooling: str, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        features = rnn.output_size * len(rnn.suffixes)
        self.embedding = embedding
        self.rnn = rnn
        self.pooling = Pooling(pooling, features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, time) numbers of words to (batch, classes) logits."""
        output, state = self.rnn(self.dropout(self.embedding(inputs)), state, lengths)
        pooled = self.pooling(output, state, _lengths(inputs, lengths))
        pooled = torch.tanh(pooled) if self.pooling.kind == "attentive" else pooled
        return self.head(self.dropout(pooled)), state

    @torch.no_grad()
    def weights(self, inputs: Tensor, lengths: Tensor) -> Tensor | None:
        """Return the share (batch, time) of each word in what is pooled, None where only the ends count."""
        output, _ = self.rnn(self.embedding(inputs), None, lengths)
        return self.pooling.weights(output, lengths)


def _lengths(inputs: Tensor, lengths: Tensor | None) -> Tensor:
    return torch.full((len(inputs),), inputs.shape[1], device=inputs.device) if lengths is None else lengths

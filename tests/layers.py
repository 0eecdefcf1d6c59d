"""What tests of the layer share: random layers and inputs, and sequences run one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import PackedSequence

from lstmlab import registry
from lstmlab.engine import RNN

STEPS, BATCH, FEATURES, HIDDEN = 5, 3, 2, 4
STACKED = {"num_layers": 2, "bidirectional": True}
every_cell = pytest.mark.parametrize("cell", list(registry.cell))
every_shape = pytest.mark.parametrize("options", [{}, STACKED], ids=["single", "stacked"])


def build(cell: str, input_size: int = FEATURES, hidden_size: int = HIDDEN, **options: Any) -> RNN:
    """Return a layer in float64 whose weights and biases are all random."""
    rnn = RNN(cell, input_size, hidden_size, **options).double()
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    return settle(rnn)


def settle(rnn: RNN) -> RNN:
    """Put a layer with batch norm into evaluation, with statistics of each step.

    In training its rows depend on one another, and on which of them have ended, as they should.
    """
    if rnn.cell.norm == "batch":
        x = torch.randn(STEPS, 8, rnn.input_size, dtype=rnn.weights().bias.dtype)
        rnn(x.transpose(0, 1) if rnn.batch_first else x)
        rnn.eval()
    return rnn


def sequences(steps: int = STEPS, batch: int = BATCH, features: int = FEATURES) -> Tensor:
    return torch.randn(steps, batch, features, dtype=torch.float64)


def initial(rnn: RNN, batch: int = BATCH) -> tuple[Tensor, ...]:
    """Return random initial states; a normaliser n is above 0, or the output would have a pole."""
    count = rnn.num_layers * len(rnn.suffixes)
    drawn = {k: torch.randn(count, batch, rnn.width(k), dtype=torch.float64) for k in rnn.cell.states}
    return tuple(v.abs() + 1 if k == "n" else v for k, v in drawn.items())


def run(rnn: RNN, x: Tensor | PackedSequence, hx: Any = None, lengths: Any = None, resets: Any = None) -> Any:
    """Return the output and the final states one after the other."""
    output, states = rnn(x, hx, lengths, resets)
    return output, *(states if isinstance(states, tuple) else (states,))


def each_alone(rnn: RNN, x: Tensor, hx: tuple[Tensor, ...], lengths: list[int]) -> tuple[Tensor, ...]:
    """Run every sequence without the others and without padding; put the results side by side."""
    results = []
    for b, length in enumerate(lengths):
        own, alone = x[:length, b : b + 1], [s[:, b : b + 1].contiguous() for s in hx]
        nothing = x.new_zeros(0, 1, rnn.output_size * len(rnn.suffixes))
        output, *states = run(rnn, own, alone) if length else (nothing, *alone)
        results.append([pad(output, (0, 0, 0, 0, 0, len(x) - length)), *states])
    return tuple(torch.cat(parts, 1) for parts in zip(*results, strict=True))

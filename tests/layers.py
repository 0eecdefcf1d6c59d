"""What tests of the layer share: random layers and inputs, and sequences run one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.engine import RNN
from lstmlab.testing.parity import each_alone, settle, states_of
from lstmlab.testing.parity import results as run

__all__ = ["each_alone", "run", "settle"]  # from there, for the tests that import them here

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


def sequences(steps: int = STEPS, batch: int = BATCH, features: int = FEATURES) -> Tensor:
    return torch.randn(steps, batch, features, dtype=torch.float64)


def initial(rnn: RNN, batch: int = BATCH) -> tuple[Tensor, ...]:
    return states_of(rnn, batch)

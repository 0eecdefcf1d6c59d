"""A cell as its checks see it: layers with random weights, and inputs for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.engine import RNN
from lstmlab.testing.parity import settle

STEPS, BATCH, FEATURES, HIDDEN = 5, 3, 2, 4
STACKED: dict[str, Any] = {"num_layers": 2, "bidirectional": True}


class CellSubject:
    """A cell, by its registered name or as a class.

    Layers run on the reference unless another engine is asked for: there the author's own `step` is
    called, and that every other engine computes the same is a check of its own.

    Raises:
        UnknownNameError: for a name that nothing is registered under.
    """

    def __init__(self, cell: str | type[Cell]) -> None:
        self.cell: type[Cell] = registry.cell.get(cell) if isinstance(cell, str) else cell
        self.name = cell if isinstance(cell, str) else cell.__name__

    def layer(self, dtype: torch.dtype = torch.float64, engine: str = "reference", **options: Any) -> RNN:
        """Return a layer whose weights and biases are all random, the same at every call."""
        torch.manual_seed(0)
        rnn = RNN(self.cell, FEATURES, HIDDEN, engine=engine, **options)
        for parameter in rnn.parameters():
            nn.init.normal_(parameter)
        return settle(rnn.to(dtype), STEPS)

    def inputs(self, dtype: torch.dtype = torch.float64, steps: int = STEPS) -> Tensor:
        """Return random inputs (time, batch, features)."""
        return torch.randn(steps, BATCH, FEATURES, dtype=dtype, generator=torch.Generator().manual_seed(1))

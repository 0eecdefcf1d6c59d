"""The LSTM with coupled input and forget gate (CIFG), without peepholes.

Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber (2017), LSTM: A Search Space Odyssey,
https://arxiv.org/abs/1503.04069, variant CIFG, written there as f = 1 - i, and with peepholes, as
our `cifg` has it. Others write i = 1 - f; the two are the same cell under a change of sign, so that
a forget bias of +1 is an input bias of -1 here.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("coupled")
class Coupled(Cell):
    """LSTM that forgets exactly as much as it takes in, f = 1 - i (CIFG of Greff et al. 2017, no peepholes)."""

    gates = ("i", "g", "o")
    forget = {"i": -1.0}

    def step(self, i: Value, g: Value, o: Value, *, c: Value) -> dict[str, Value]:
        i, g, o = sigmoid(i), tanh(g), sigmoid(o)
        c = (1 - i) * c + i * g
        return {"h": o * tanh(c), "c": c}

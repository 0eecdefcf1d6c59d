"""The LSTM with nothing but a forget gate.

Van der Westhuizen and Lasenby (2018), The unreasonable effectiveness of the forget gate,
https://arxiv.org/abs/1804.04849: a little more is taken in than is forgotten, by beta = 1. They
start biases by the chrono initialisation; here the forget gate starts as every other cell's does.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("janet")
class JANET(Cell):
    """Forget gate only; the state is the output (van der Westhuizen and Lasenby 2018)."""

    gates = ("f", "g")
    states = ("h",)
    forget = {"f": 1.0}

    def step(self, f: Value, g: Value, *, h: Value) -> dict[str, Value]:
        forget, take, g = sigmoid(f), 1 - sigmoid(f - 1), tanh(g)
        return {"h": forget * h + take * g}

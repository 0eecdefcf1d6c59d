"""The LSTM whose gates see the cell state.

Gers and Schmidhuber (2000), Recurrent Nets that Time and Count, https://doi.org/10.1109/IJCNN.2000.861302.
The output gate sees the new cell state, the other two the old one. Greff et al. (2017),
https://arxiv.org/abs/1503.04069, call this cell "vanilla".
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("peephole")
class Peephole(Cell):
    """LSTM whose three gates see the cell state (Gers and Schmidhuber 2000)."""

    gates = ("i", "f", "g", "o")
    vectors = ("p_i", "p_f", "p_o")
    forget = {"f": 1.0}

    def step(
        self, i: Value, f: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_f: Value, p_o: Value
    ) -> dict[str, Value]:
        i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
        c = f * c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c}

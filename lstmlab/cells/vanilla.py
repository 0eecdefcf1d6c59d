"""The LSTM with a forget gate, as ``torch.nn.LSTM`` computes it.

Hochreiter and Schmidhuber (1997), Long Short-Term Memory, https://doi.org/10.1162/neco.1997.9.8.1735;
forget gate: Gers, Schmidhuber and Cummins (2000), https://doi.org/10.1162/089976600300015015.
In the naming of Greff et al. (2017) this is NP, the variant without peepholes.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("vanilla")
class Vanilla(Cell):
    """LSTM with input, forget and output gate (Gers et al. 2000)."""

    gates = ("i", "f", "g", "o")
    forget = {"f": 1.0}

    def step(self, i: Value, f: Value, g: Value, o: Value, *, c: Value) -> dict[str, Value]:
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = f * c + i * g
        return {"h": o * tanh(c), "c": c}

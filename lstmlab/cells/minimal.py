"""The LSTM and the GRU with gates that see the input only.

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi (2024), Were RNNs All We Needed?,
https://arxiv.org/abs/2410.01201, as in their section 3: the candidate is linear and nothing is
computed in log space. There is no recurrent matrix, so each unit is a linear recurrence of its own.
`TINY` stands in for f + i where both underflow to 0.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, maximum, sigmoid
from lstmlab.registry import cell

TINY = 1e-30


@cell("minlstm")
class MinLSTM(Cell):
    """LSTM without recurrent matrices, its gates normalised to a sum of 1 (Feng et al. 2024)."""

    gates = ("f", "i", "g")
    states = ("h",)
    recurrent = {}
    forget = {"f": 1.0}

    def step(self, f: Value, i: Value, g: Value, *, h: Value) -> dict[str, Value]:
        f, i = sigmoid(f), sigmoid(i)
        both = maximum(f + i, TINY)
        return {"h": f / both * h + i / both * g}


@cell("mingru")
class MinGRU(Cell):
    """GRU without recurrent matrices and without reset gate (Feng et al. 2024)."""

    gates = ("z", "g")
    states = ("h",)
    recurrent = {}

    def step(self, z: Value, g: Value, *, h: Value) -> dict[str, Value]:
        z = sigmoid(z)
        return {"h": (1 - z) * h + z * g}

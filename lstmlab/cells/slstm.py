"""The LSTM with exponential input gate and normalised state, of one head with full recurrent matrices.

Beck et al. (2024), xLSTM: Extended Long Short-Term Memory, https://arxiv.org/abs/2405.04517,
equations 8 to 17, with the sigmoid forget gate. The output is normalised by n, as there, h = o c / n;
not by max(|n|, 1), which the paper has for the mLSTM. The state m keeps the exponentials in range:
c and n are stored divided by exp(m). It starts so low that the first step gives n = 1, and from
then on n is at least 1. Whoever passes states of zeros instead can have an n that underflows to 0
at the first step, and `TINY` then stands in for it.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, exp, log_sigmoid, maximum, sigmoid, tanh
from lstmlab.registry import cell

TINY = 1e-30


@cell("slstm")
class SLSTM(Cell):
    """LSTM with exponential input gate, normalised by h = o c / n (Beck et al. 2024)."""

    gates = ("i", "f", "z", "o")
    states = ("h", "c", "n", "m")
    initial = {"m": -1e4}
    forget = {"f": 1.0}

    def step(self, i: Value, f: Value, z: Value, o: Value, *, c: Value, n: Value, m: Value) -> dict[str, Value]:
        z, o = tanh(z), sigmoid(o)
        kept = log_sigmoid(f) + m
        m = maximum(kept, i)
        i, f = exp(i - m), exp(kept - m)
        c = f * c + i * z
        n = f * n + i
        return {"h": o * (c / maximum(n, TINY)), "c": c, "n": n, "m": m}

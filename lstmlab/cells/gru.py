"""The gated recurrent unit, as ``torch.nn.GRU`` computes it.

Cho et al. (2014), Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
Translation, https://arxiv.org/abs/1406.1078. The reset gate multiplies after the recurrent product
("linear before reset", as cuDNN has it), so the candidate's input part n and recurrent part m are
two pre-activations with a bias each; and, as there, z is the share of the old state that is kept.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("gru")
class GRU(Cell):
    """Gated recurrent unit, as nn.GRU: linear before reset (Cho et al. 2014)."""

    gates = ("r", "z", "n", "m")
    states = ("h",)
    inputs = ("r", "z", "n")
    recurrent = {"h": ("r", "z", "m")}

    def step(self, r: Value, z: Value, n: Value, m: Value, *, h: Value) -> dict[str, Value]:
        r, z = sigmoid(r), sigmoid(z)
        n = tanh(n + r * m)
        return {"h": (1 - z) * n + z * h}

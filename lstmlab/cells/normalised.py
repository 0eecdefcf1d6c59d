"""The LSTM with normalised pre-activations and a normalised cell state in the output.

Layer norm: Ba, Kiros and Hinton (2016), Layer Normalization, https://arxiv.org/abs/1607.06450,
equations 20 to 22: W x and R h are normalised over all gates together.
Batch norm: Cooijmans, Ballas, Laurent, Gulcehre and Courville (2016), Recurrent Batch
Normalization, https://arxiv.org/abs/1603.09025: statistics of each time step, gain 0.1 at first.
In both the one bias after the sum stands for the shifts of the products, which are its equals.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.registry import cell


@cell("layernorm")
class LayerNormLSTM(Cell):
    """LSTM with layer normalisation (Ba et al. 2016)."""

    gates = ("i", "f", "g", "o")
    forget = {"f": 1.0}
    norm = "layer"

    def step(self, i: Value, f: Value, g: Value, o: Value, *, c: Value, norm_c: Value) -> dict[str, Value]:
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = f * c + i * g
        return {"h": o * tanh(norm_c(c)), "c": c}


@cell("batchnorm")
class BatchNormLSTM(LayerNormLSTM):
    """LSTM with recurrent batch normalisation (Cooijmans et al. 2016)."""

    norm = "batch"

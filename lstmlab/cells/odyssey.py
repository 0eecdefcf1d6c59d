"""The eight variants of "LSTM: A Search Space Odyssey", each one change to the LSTM with peepholes.

Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber (2017), https://arxiv.org/abs/1503.04069.
Their "vanilla" is our `peephole`; their NP, without peepholes, is our `vanilla`, and their CIFG
has peepholes, which our `coupled` has not. Their gates i, f, o and block input z are i, f, o, g here.
"""

from __future__ import annotations

from lstmlab.cells._cell import Cell, Value, sigmoid, tanh
from lstmlab.cells.vanilla import Vanilla
from lstmlab.registry import cell


@cell("nig")
class NIG(Cell):
    """Peephole LSTM without input gate, i = 1 (Greff et al. 2017)."""

    gates = ("f", "g", "o")
    vectors = ("p_f", "p_o")
    forget = {"f": 1.0}

    def step(self, f: Value, g: Value, o: Value, *, c: Value, p_f: Value, p_o: Value) -> dict[str, Value]:
        f, g = sigmoid(f + p_f * c), tanh(g)
        c = f * c + g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c}


@cell("nfg")
class NFG(Cell):
    """Peephole LSTM without forget gate, f = 1 (Greff et al. 2017)."""

    gates = ("i", "g", "o")
    vectors = ("p_i", "p_o")

    def step(self, i: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_o: Value) -> dict[str, Value]:
        i, g = sigmoid(i + p_i * c), tanh(g)
        c = c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c}


@cell("nog")
class NOG(Cell):
    """Peephole LSTM without output gate, o = 1 (Greff et al. 2017)."""

    gates = ("i", "f", "g")
    vectors = ("p_i", "p_f")
    forget = {"f": 1.0}

    def step(self, i: Value, f: Value, g: Value, *, c: Value, p_i: Value, p_f: Value) -> dict[str, Value]:
        i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
        c = f * c + i * g
        return {"h": tanh(c), "c": c}


@cell("niaf")
class NIAF(Cell):
    """Peephole LSTM without input activation, g linear (Greff et al. 2017)."""

    gates = ("i", "f", "g", "o")
    vectors = ("p_i", "p_f", "p_o")
    forget = {"f": 1.0}

    def step(
        self, i: Value, f: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_f: Value, p_o: Value
    ) -> dict[str, Value]:
        i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c)
        c = f * c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c}


@cell("noaf")
class NOAF(Cell):
    """Peephole LSTM without output activation, h = o c (Greff et al. 2017)."""

    gates = ("i", "f", "g", "o")
    vectors = ("p_i", "p_f", "p_o")
    forget = {"f": 1.0}

    def step(
        self, i: Value, f: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_f: Value, p_o: Value
    ) -> dict[str, Value]:
        i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
        c = f * c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * c, "c": c}


@cell("np")
class NP(Vanilla):
    """LSTM without peepholes: `vanilla` by its name in the Odyssey (Greff et al. 2017)."""


@cell("cifg")
class CIFG(Cell):
    """Peephole LSTM with coupled gates, f = 1 - i (Greff et al. 2017); without peepholes: `coupled`."""

    gates = ("i", "g", "o")
    vectors = ("p_i", "p_o")
    forget = {"i": -1.0}

    def step(self, i: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_o: Value) -> dict[str, Value]:
        i, g = sigmoid(i + p_i * c), tanh(g)
        c = (1 - i) * c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c}


@cell("fgr")
class FGR(Cell):
    """Peephole LSTM whose three gates see those of the step before (Greff et al. 2017)."""

    gates = ("i", "f", "g", "o")
    states = ("h", "c", "e_i", "e_f", "e_o")  # e: a gate's value, kept for the next step
    vectors = ("p_i", "p_f", "p_o")
    recurrent = {"h": gates, "e_i": ("i", "f", "o"), "e_f": ("i", "f", "o"), "e_o": ("i", "f", "o")}
    forget = {"f": 1.0}

    def step(
        self, i: Value, f: Value, g: Value, o: Value, *, c: Value, p_i: Value, p_f: Value, p_o: Value
    ) -> dict[str, Value]:
        i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
        c = f * c + i * g
        o = sigmoid(o + p_o * c)
        return {"h": o * tanh(c), "c": c, "e_i": i, "e_f": f, "e_o": o}

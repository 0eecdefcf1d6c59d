"""Cells that somebody might write, registered nowhere."""

from __future__ import annotations

from typing import Any

from lstmlab.cells import Cell, log_sigmoid, maximum, relu, sigmoid, tanh


class MinimalGated(Cell):
    """One gate and one state (Zhou et al. 2016, without the gate in the candidate's recurrent part)."""

    gates = ("f", "g")
    states = ("h",)
    forget = {"f": -1.0}

    def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
        f, g = sigmoid(f), tanh(g)
        return {"h": (1 - f) * h + f * g}


class OutputIsState(Cell):
    """Forget gate only; the output is the cell state itself."""

    gates = ("f", "g")

    def step(self, f: Any, g: Any, *, c: Any) -> dict[str, Any]:
        f, g = sigmoid(f), tanh(g)
        c = f * c + (1 - f) * g
        return {"h": c, "c": c}


class WrittenOut(Cell):
    """`MinimalGated` by someone who writes each use of a gate in full, with a weight on the candidate."""

    gates = ("f", "g")
    states = ("h",)
    vectors = ("scale",)

    def step(self, f: Any, g: Any, *, h: Any, scale: Any) -> dict[str, Any]:
        return {"h": sigmoid(-f) * h + sigmoid(f) * (scale * tanh(g))}


class Everything(Cell):
    """All operations, two states that feed back, a gate without input, and numbers on either side."""

    gates = ("a", "b", "k")
    states = ("y", "s_0")
    vectors = ("v",)
    inputs = ("a", "b")
    recurrent = {"y": ("a", "k"), "s_0": ("b", "k")}
    initial = {"s_0": 0.5}

    def step(self, a: Any, b: Any, k: Any, *, y: Any, s_0: Any, v: Any) -> dict[str, Any]:
        a, b = tanh(a - v), relu(b) - maximum(0.25, -b)
        s = (s_0 - a * 0.5) / (2.0 + sigmoid(1 - k))
        return {"y": maximum(y - (a + b), log_sigmoid(s)) / 4, "s_0": -s}


class NormalisedFeedback(Cell):
    """A layer norm where two states feed different gates, and two states are normalised in the step."""

    gates = ("f", "g", "k")
    states = ("h", "c")
    recurrent = {"h": ("f", "g"), "c": ("k",)}
    norm = "layer"

    def step(self, f: Any, g: Any, k: Any, *, h: Any, c: Any, norm_h: Any, norm_c: Any) -> dict[str, Any]:
        f, g = sigmoid(f), tanh(g + norm_h(h))
        c = f * c + (1 - f) * g
        return {"h": tanh(norm_c(c)) * sigmoid(k), "c": c}


OWN = (MinimalGated, OutputIsState, WrittenOut, Everything, NormalisedFeedback)

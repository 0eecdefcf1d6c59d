"""Cells that nobody would write, each for something that an engine could get wrong."""

from __future__ import annotations

import math
from typing import Any

from lstmlab.cells import Cell, exp, log_sigmoid, maximum, relu, sigmoid, tanh


class Elman(Cell):
    """One gate, one state, one function."""

    gates = ("g",)
    states = ("h",)

    def step(self, g: Any) -> dict[str, Any]:
        return {"h": tanh(g)}


class Decay(Cell):
    """A leak that is a parameter, the same at all steps."""

    gates = ("g",)
    states = ("h",)
    vectors = ("leak",)
    recurrent = {}

    def step(self, g: Any, *, h: Any, leak: Any) -> dict[str, Any]:
        return {"h": leak * h + g}


class Constants(Cell):
    """Numbers alone multiply the state; what is added has a constant in a maximum."""

    gates = ("g",)
    states = ("h",)
    recurrent = {}
    initial = {"h": 2.0}

    def step(self, g: Any, *, h: Any) -> dict[str, Any]:
        return {"h": (3 - h) / 4 + maximum(0.1, exp(g))}


class Forgetful(Cell):
    """Nothing of the old state is left, so that its output may be projected."""

    gates = ("f", "g")
    states = ("h",)
    recurrent = {}

    def step(self, f: Any, g: Any) -> dict[str, Any]:
        return {"h": sigmoid(f) * tanh(g)}


class Sum(Cell):
    """A count with a parameter as its unit: the input is in the share only."""

    gates = ("f",)
    states = ("h",)
    vectors = ("unit",)
    recurrent = {}

    def step(self, f: Any, *, h: Any, unit: Any) -> dict[str, Any]:
        return {"h": (h + unit) * sigmoid(f) - (1 - sigmoid(f)) * h}


class Ties(Cell):
    """Operations with a kink: at it, a maximum shares its gradient, and a rectifier passes none."""

    gates = ("a", "b")
    states = ("h", "c")

    def step(self, a: Any, b: Any, *, h: Any, c: Any) -> dict[str, Any]:
        return {"h": maximum(a, b) * maximum(c, 0.5) + relu(a), "c": maximum(h, h) + relu(b) * a}


class Reused(Cell):
    """Values that are used several times, by one operation too, and a state that is handed on."""

    gates = ("a", "b")
    states = ("h", "c", "d")
    vectors = ("v",)

    def step(self, a: Any, b: Any, *, h: Any, c: Any, v: Any) -> dict[str, Any]:
        square = a * a
        e = exp(b - square) / (1 + square)
        return {"h": tanh(e * e) + tanh(e + e) - v, "c": c, "d": a + 2 * h * v}


class Interleaved(Cell):
    """Gates that see the input, and those that each state feeds, lie between one another; k has its bias alone."""

    gates = ("a", "b", "k", "d", "e", "f", "g")
    states = ("h", "c", "u", "w")
    inputs = ("a", "d", "g")
    recurrent = {"c": ("b", "g"), "h": ("a", "f", "g"), "u": ("e",)}
    vectors = ("p", "q")

    def step(self, a: Any, b: Any, k: Any, d: Any, e: Any, f: Any, g: Any, *, c: Any, u: Any, p: Any, q: Any) -> Any:
        c = sigmoid(a + p * c) * c + tanh(b) * sigmoid(-k)
        u = u / (1 + exp(-d)) + log_sigmoid(q - e)
        return {"h": tanh(c + u) * sigmoid(g), "c": c, "u": u, "w": relu(f) - maximum(-1.0, -g)}


class Unbounded(Cell):
    """Constants beyond the range of float32, and infinite ones."""

    gates = ("f", "g")
    states = ("h",)

    def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
        f = maximum(sigmoid(f), -math.inf) + 1e-60
        return {"h": f * h + (1 - f) * maximum(tanh(g), -1e300)}


LINEAR = (Decay, Constants, Forgetful, Sum)
ODD = (Elman, *LINEAR, Ties, Reused, Interleaved, Unbounded)

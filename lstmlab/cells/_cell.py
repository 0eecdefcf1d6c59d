"""What a cell declares, and the elementwise functions that its equations may use.

Nothing here knows torch or SymPy: a value that is a tensor brings its own ``sigmoid`` and ``tanh``
methods, and a symbol of the trace (`lstmlab.engine.tracing`) brings the same two.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

Value = Any  # a tensor (batch, hidden_size), or a symbol of the trace


def sigmoid(x: Value) -> Value:
    """Return the logistic function of ``x``, elementwise."""
    return x.sigmoid()


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent of ``x``, elementwise."""
    return x.tanh()


class Cell:
    """One recurrent variant: names of its parts, and one step in equations.

    Each gate's pre-activation is affine, ``W x_t + R h_{t-1} + b``, where h is the first state;
    `step` says what follows, elementwise. A subclass declares:

    Attributes:
        gates: pre-activations, in the order in which weights are stored.
        states: what is carried from step to step; the first is the output.
        vectors: parameters with one weight per unit, peepholes for example.
        forget: where the option ``forget_bias`` goes: gate -> sign of the initial bias.
    """

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    vectors: ClassVar[tuple[str, ...]] = ()
    forget: ClassVar[dict[str, float]] = {}

    def step(self, *gates: Value, **parts: Value) -> dict[str, Value]:
        """Return the new states from gate pre-activations, previous states and vectors.

        A step names what it uses: gates as positional parameters, previous states other than
        the output and vectors as keyword parameters.
        """
        raise TypeError(f"{type(self).__name__} has no equations: define step().")

    @classmethod
    def keywords(cls) -> tuple[str, ...]:
        """Return the names of the previous states and vectors that `step` uses."""
        parameters = inspect.signature(cls.step).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

"""What a cell declares, and the elementwise functions that its equations may use.

Nothing here needs torch or SymPy: a step runs on tensors (the reference), or on the nodes of a
graph (`lstmlab.cells.equations`), and both bring the operations with them.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, ClassVar

from lstmlab.cells._graph import Node

Value = Any  # a tensor (batch, hidden_size), or a node of the graph


def sigmoid(x: Value) -> Value:
    """Return the logistic function of ``x``, elementwise."""
    return x.sigmoid()


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent of ``x``, elementwise."""
    return x.tanh()


def exp(x: Value) -> Value:
    """Return the exponential of ``x``, elementwise."""
    return x.exp()


def log_sigmoid(x: Value) -> Value:
    """Return log(sigmoid(x)), elementwise, without overflow."""
    if isinstance(x, Node):
        return x.graph.apply("log_sigmoid", x)
    from torch.nn.functional import logsigmoid  # not a method of tensors; torch is there where they are

    return logsigmoid(x)


def relu(x: Value) -> Value:
    """Return ``x`` where it is positive, else 0."""
    return x.relu()


def maximum(x: Value, y: Value) -> Value:
    """Return the larger of two values, elementwise; one of them may be a number."""
    for node in (x, y):
        if isinstance(node, Node):
            return node.graph.apply("maximum", x, y)
    if isinstance(x, int | float):
        x, y = y, x
    return x.maximum(x.new_tensor(y) if isinstance(y, int | float) else y)


class Cell:
    """One recurrent variant: names of its parts, and one step in equations.

    Each gate's pre-activation is affine in the input and in previous states; `step` says what
    follows, elementwise. A subclass declares:

    Attributes:
        gates: pre-activations, in the order in which weights are stored.
        states: what is carried from step to step; the first is the output.
        vectors: parameters with one weight per unit, peepholes for example.
        inputs: gates that see the input, W x_t; all of them unless given.
        recurrent: state -> gates that it feeds, R s_{t-1}; the output feeds all gates unless given.
        initial: state -> the number that it starts from where that is not zero.
        forget: where the option ``forget_bias`` goes: gate -> sign of the initial bias.
        norm: "layer" or "batch": each gate's products W x and R h are normalised before the
            bias is added, and so is what `step` hands to its keyword ``norm_STATE``.
    """

    gates: ClassVar[tuple[str, ...]]
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    vectors: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]]
    recurrent: ClassVar[dict[str, tuple[str, ...]]]
    initial: ClassVar[dict[str, float]] = {}
    forget: ClassVar[dict[str, float]] = {}
    norm: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "gates" in cls.__dict__ or "states" in cls.__dict__:
            own = cls.__dict__
            gates = getattr(cls, "gates", ())  # without any, registration says what is missing
            if "inputs" not in own:
                cls.inputs = gates
            if "recurrent" not in own:
                cls.recurrent = {cls.states[0]: gates}

    def step(self, *gates: Value, **parts: Value) -> dict[str, Value]:
        """Return the new states from gate pre-activations, previous states and vectors.

        A step names what it uses: gates as positional parameters, previous states and vectors
        as keyword parameters.
        """
        raise NotImplementedError

    @classmethod
    @cache
    def keywords(cls) -> tuple[str, ...]:
        """Return the names of the previous states, vectors and norms that `step` uses."""
        parameters = inspect.signature(cls.step).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    @classmethod
    @cache
    def norms(cls) -> tuple[str, ...]:
        """Return the names of the normalisations that `step` applies to states."""
        return tuple(k for k in cls.keywords() if k.startswith("norm_"))

    @classmethod
    def check_registration(cls) -> None:
        """Refuse equations that cannot be computed, when the cell is registered."""
        from lstmlab.cells._equations import equations

        equations(cls)

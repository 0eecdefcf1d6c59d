"""The language of equations: elementwise operations recorded as a graph while a step runs once.

A `Node` stands for one value. Arithmetic on nodes makes nodes; equal operations on equal values
make the same node, so that what equations share is computed once. Everything that an engine needs
is read off such a graph: values, derivatives, code, LaTeX and costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

UNARY = ("sigmoid", "tanh", "exp", "log_sigmoid", "relu")  # and norm_STATE, which is not elementwise
BINARY = ("add", "sub", "mul", "div", "maximum")
LANGUAGE = (
    "for which there is no rule: write it with + - * / and sigmoid, tanh, exp, log_sigmoid, relu, maximum of lstmlab"
)


class Node:
    """One value of a graph: an input or a constant (``args`` empty), or an operation on other nodes."""

    __slots__ = ("args", "graph", "index", "op", "value")

    def __init__(self, graph: Graph, index: int, op: str, args: tuple[Node, ...], value: Any) -> None:
        self.graph, self.index, self.op, self.args, self.value = graph, index, op, args, value

    def __add__(self, other: Any) -> Node:
        return self.graph.apply("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return self.graph.apply("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return self.graph.apply("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.graph.apply("sub", other, self)

    def __mul__(self, other: Any) -> Node:
        return self.graph.apply("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        return self.graph.apply("mul", other, self)

    def __truediv__(self, other: Any) -> Node:
        return self.graph.apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return self.graph.apply("div", other, self)

    def __neg__(self) -> Node:
        return self.graph.apply("mul", -1.0, self)

    def sigmoid(self) -> Node:
        return self.graph.apply("sigmoid", self)

    def tanh(self) -> Node:
        return self.graph.apply("tanh", self)

    def exp(self) -> Node:
        return self.graph.apply("exp", self)

    def relu(self) -> Node:
        return self.graph.apply("relu", self)

    def _refuse_branch(self, *_: object) -> Any:
        raise TypeError(
            "it branches on a value, but its equations must be the same for every input: "
            "write the choice as arithmetic, with relu() or maximum() for example"
        )

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse_branch
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"it uses .{name}, {LANGUAGE}")

    def _refuse_operator(self, *_: object) -> Any:
        raise TypeError(f"it uses an operator, a built-in function or a loop on a value, {LANGUAGE}")

    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _refuse_operator
    __abs__ = __float__ = __int__ = __round__ = __getitem__ = __iter__ = __len__ = _refuse_operator

    def __repr__(self) -> str:
        return str(self.value) if not self.args else f"{self.op}({', '.join(map(repr, self.args))})"


class Graph:
    """Nodes in an order in which they can be computed, each operation once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Node] = {}

    def input(self, name: str) -> Node:
        """Return the node of a named input."""
        return self._intern("input", (), name)

    def constant(self, value: float) -> Node:
        """Return the node of a number."""
        return self._intern("constant", (), float(value))

    def apply(self, op: str, *operands: Any) -> Node:
        """Return the node of an operation on nodes or numbers, simplified where that is exact."""
        args = tuple(self._node(a) for a in operands)
        simple = _simplify(op, args)
        if simple is not None:
            return self._node(simple)
        return self._intern(op, args, None)

    def _node(self, value: Any) -> Node:
        if isinstance(value, Node):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.constant(value)
        raise TypeError(f"it uses a {type(value).__name__} in an equation: only gates, states, vectors, numbers may")

    def _intern(self, op: str, args: tuple[Node, ...], value: Any) -> Node:
        key = (op, tuple(a.index for a in args), value)
        if key not in self._known:
            self._known[key] = Node(self, len(self.nodes), op, args, value)
            self.nodes.append(self._known[key])
        return self._known[key]

    def needed(self, results: list[Node]) -> list[Node]:
        """Return the nodes that ``results`` depend on, themselves included, in order of computation."""
        wanted: set[int] = set()
        for node in reversed(self.nodes):
            if node.index in wanted or any(node is r for r in results):
                wanted |= {node.index, *(a.index for a in node.args)}
        return [n for n in self.nodes if n.index in wanted]

    def evaluate(self, results: list[Node], inputs: Mapping[str, Any], rules: Mapping[str, Callable[..., Any]]) -> Any:
        """Compute ``results`` with any kind of value: ``rules`` has a function for each operation."""
        done: dict[int, Any] = {}
        for node in self.needed(results):
            if node.op == "input":
                done[node.index] = inputs[node.value]
            elif node.op == "constant":
                done[node.index] = rules["constant"](node.value)
            else:
                done[node.index] = rules[node.op](*(done[a.index] for a in node.args))
        return [done[r.index] for r in results]


def _simplify(op: str, args: tuple[Node, ...]) -> Node | float | None:
    """Return what an operation with a constant 0 or 1 amounts to, or None."""
    numbers = [a.value if a.op == "constant" else None for a in args]
    if len(args) == 2 and None not in numbers and op in ARITHMETIC:
        return ARITHMETIC[op](*numbers)
    match op, numbers:
        case ("add", [0, _]) | ("mul", [1, _]):
            return args[1]
        case ("add" | "sub", [_, 0]) | ("mul" | "div", [_, 1]):
            return args[0]
        case ("mul", [0, _]) | ("mul", [_, 0]):
            return 0.0
    return None


ARITHMETIC: dict[str, Callable[[Any, Any], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}

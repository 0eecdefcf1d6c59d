"""From a cell's graph to the graph of its backward pass, by reverse accumulation.

The forward pass keeps one value per gate and unit: the gate's activation where the derivative can
be written with it (sigmoid, tanh and exp tell their own slope), else the pre-activation. The
backward graph is written in these values, the previous states and the vectors, and whatever else
it needs it computes anew, so memory never exceeds pre-activations and states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lstmlab.cells import Cell, Equations, Graph, Node, equations

TELLS_ITS_SLOPE = ("sigmoid", "tanh", "exp")


@dataclass(frozen=True)
class Derivative:
    """The backward pass of one step.

    Attributes:
        kept: gate -> the forward node whose value is kept for it.
        graph: inputs are ``kept:GATE``, previous states and vectors by name, and ``grad:STATE``,
            the gradient that arrives at a new state.
        gradients: name of a gate, previous state or vector -> node of its gradient.
    """

    forward: Equations
    kept: dict[str, Node]
    graph: Graph
    gradients: dict[str, Node]


def derive(cell: type[Cell]) -> Derivative:
    """Return the backward pass of ``cell.step``."""
    forward = equations(cell)
    kept = {gate: _activation(forward, gate) for gate in cell.gates}
    while True:
        made = _reverse(forward, kept)
        inputs = {n.value for n in made.graph.needed(list(made.gradients.values())) if n.op == "input"}
        missing = [gate for gate in cell.gates if f"raw:{gate}" in inputs]
        if not missing:
            return made
        kept |= {gate: forward.graph.input(gate) for gate in missing}


def _activation(forward: Equations, gate: str) -> Node:
    """Return the one nonlinearity that a pre-activation goes through, or the pre-activation."""
    raw = node = forward.graph.input(gate)
    needed = forward.graph.needed(list(forward.states.values()))
    while True:
        users = [n for n in needed if any(a is node for a in n.args)]
        if len(users) != 1 or any(node is s for s in forward.states.values()):
            return raw
        if users[0].op in TELLS_ITS_SLOPE:
            return users[0]
        if users[0].op not in ("add", "sub"):
            return raw
        node = users[0]


def _reverse(forward: Equations, kept: dict[str, Node]) -> Derivative:
    graph = Graph()
    known: dict[int, Node] = {node.index: graph.input(f"kept:{gate}") for gate, node in kept.items()}
    gates = set(kept)

    def value(node: Node) -> Node:
        """Return a forward value in terms of what the backward pass has."""
        if node.index not in known:
            if node.op == "input":
                known[node.index] = graph.input(f"raw:{node.value}" if node.value in gates else node.value)
            elif node.op == "constant":
                known[node.index] = graph.constant(node.value)
            else:
                known[node.index] = graph.apply(node.op, *(value(a) for a in node.args))
        return known[node.index]

    arriving: dict[int, Node] = {}

    def add(node: Node, gradient: Node) -> None:
        known_so_far = arriving.get(node.index)
        arriving[node.index] = gradient if known_so_far is None else known_so_far + gradient

    for state, node in forward.states.items():
        add(node, graph.input(f"grad:{state}"))
    for node in reversed(forward.graph.needed(list(forward.states.values()))):
        if node.args and node.index in arriving:
            gradients = _through(node, arriving[node.index], value)
            for argument, gradient in zip(node.args, gradients, strict=True):
                if argument.op != "constant":
                    add(argument, gradient)
    names = {n.value: n for n in forward.graph.nodes if n.op == "input"}
    zero = graph.constant(0.0)
    return Derivative(forward, dict(kept), graph, {k: arriving.get(n.index, zero) for k, n in names.items()})


def _through(node: Node, gradient: Node, value: Callable[[Node], Node]) -> list[Node]:
    """Return the gradients of a node's arguments."""
    x, y = node.args[0], node.args[-1]
    apply = gradient.graph.apply
    match node.op:
        case "add":
            return [gradient, gradient]
        case "sub":
            return [gradient, -gradient]
        case "mul":
            return [gradient * value(y), gradient * value(x)]
        case "div":
            share = gradient / value(y)
            return [share, -(share * value(node))]
        case "sigmoid":
            return [gradient * (value(node) * (1 - value(node)))]
        case "tanh":
            return [gradient * (1 - value(node) * value(node))]
        case "exp":
            return [gradient * value(node)]
        case "log_sigmoid":
            return [gradient * (-value(x)).sigmoid()]
        case "relu":
            return [gradient * apply("positive", value(x))]
        case "maximum":
            first = gradient * apply("larger", value(x), value(y))
            return [first, gradient - first]
    raise NotImplementedError(f"no derivative of {node.op}")

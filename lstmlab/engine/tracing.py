"""A cell's equations as SymPy expressions, and as LaTeX.

A sigmoid, tanh or exp of something that holds a gate's pre-activation as a summand defines that
gate; the rest of the step then works with the gate's name, as the equations on paper do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from lstmlab import registry
from lstmlab.cells import Cell, Equations, Node, equations
from lstmlab.cells._graph import UNARY
from lstmlab.engine.latex import aligned

GATING = ("sigmoid", "tanh", "exp")
RULES: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    **{name: sympy.Function(name) for name in (*UNARY, "maximum")},  # left unevaluated
}


@dataclass(frozen=True)
class Trace:
    """A cell's step in symbols.

    Attributes:
        activations: gate -> its value after the nonlinearity, in terms of pre-activations
            (``i``), earlier gates (``i_t``), old states (``c_old``), new states (``c_t``) and vectors.
        states: state -> its new value in the same terms.
        nodes: gate or state -> the node that computes it.
    """

    cell: type[Cell]
    activations: dict[str, sympy.Expr]
    states: dict[str, sympy.Expr]
    nodes: dict[str, Node]

    @property
    def equations(self) -> dict[str, sympy.Expr]:
        """All equations in an order in which they can be computed, the output last."""
        todo = self.activations | self.states
        done: dict[str, sympy.Expr] = {}
        while todo:
            ready = [k for k, e in todo.items() if not any(_new(o) in e.free_symbols for o in todo if o != k)]
            done |= {k: todo.pop(k) for k in ready}
        return done

    def latex(self) -> str:
        """Return the equations as one LaTeX ``aligned`` block."""
        return aligned(self.cell, {name: self.nodes[name] for name in self.equations}, tuple(self.activations))


def trace(cell: str | Cell | type[Cell]) -> Trace:
    """Return the equations of a cell, given by its name, itself or its class, as SymPy expressions.

    Raises:
        CellError: when the cell's equations cannot be computed.
    """
    if isinstance(cell, str):
        return trace(registry.cell.get(cell))
    if not isinstance(cell, type):
        return trace(type(cell))
    found = equations(cell)
    named = _activations(found)
    nodes = named | found.states
    # Of several names for one value the first keeps the expression: a gate, else the last state,
    # because the first is the output, which reads best in terms of the others.
    owners = {nodes[name].index: name for name in [*found.states, *reversed(named)] if nodes[name].args}
    rules = RULES | {name: sympy.Function(name) for name in cell.norms()}
    values: dict[int, sympy.Expr] = {}
    full: dict[int, sympy.Expr] = {}
    for node in found.graph.needed(list(found.states.values())):
        full[node.index] = _express(node, cell, values, rules)
        values[node.index] = _new(owners[node.index]) if node.index in owners else full[node.index]
    own = {name: (full if owners.get(n.index) == name else values)[n.index] for name, n in nodes.items()}
    return Trace(cell, {k: own[k] for k in named}, {k: own[k] for k in found.states}, nodes)


def _express(node: Node, cell: type[Cell], values: dict[int, sympy.Expr], rules: dict[str, Any]) -> sympy.Expr:
    if node.op == "input":
        return _old(node.value) if node.value in cell.states else sympy.Symbol(node.value)
    if node.op == "constant":
        return sympy.Rational(repr(node.value))
    return rules[node.op](*(values[a.index] for a in node.args))


def _activations(found: Equations) -> dict[str, Node]:
    """Return gate -> the nonlinearity that defines it, in the order of computation."""
    defined: dict[str, Node] = {}
    for node in found.graph.needed(list(found.states.values())):
        if node.op in GATING:
            raw = (_summands(node.args[0]) & {*found.cell.gates}) - {*defined}
            if len(raw) == 1:
                defined[raw.pop()] = node
    return defined


def _summands(node: Node) -> set[str]:
    """Return the inputs that a value holds as they are, up to sign or inside log_sigmoid."""
    match node.op:
        case "input":
            return {node.value}
        case "add" | "sub":
            return _summands(node.args[0]) | _summands(node.args[1])
        case "log_sigmoid":
            return _summands(node.args[0])
        case "mul" if node.args[0].op == "constant" and node.args[0].value == -1:
            return _summands(node.args[1])
    return set()


def _old(state: str) -> sympy.Symbol:
    return sympy.Symbol(f"{state}_old")


def _new(name: str) -> sympy.Symbol:
    return sympy.Symbol(f"{name}_t")

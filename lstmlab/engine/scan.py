"""Cells without recurrent products whose step is linear in their one state: a scan over time.

For h_t = a_t h_{t-1} + b_t, with a and b functions of the input alone, pairs of steps combine into
steps of the same kind, so that log2(T) operations on whole sequences replace T small ones
(Martin and Cundy 2018, https://arxiv.org/abs/1709.04057). On a CPU the fused kernel is faster; the
scan serves where there is none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from lstmlab.cells import Cell, Graph, Node, equations
from lstmlab.engine.derivative import derive
from lstmlab.engine.recurrence import Recurrence, Result
from lstmlab.memo import memo

RULES: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log_sigmoid": logsigmoid,
    "relu": torch.relu,
    "maximum": torch.maximum,
}


@memo
def coefficients(cell: type[Cell]) -> tuple[Graph, Node, Node] | None:
    """Return the graph and the nodes of a and b in h' = a h + b, or None where the step is not of this kind."""
    if cell.recurrent or len(cell.states) != 1 or cell.norm or cell.inputs != cell.gates:
        return None
    found = equations(cell)
    state = cell.states[0]
    graph = Graph()
    # a is the derivative: the gradient of h given 1; b is what remains where h is 0.
    derivative = derive(cell)
    names = {f"grad:{state}": graph.constant(1.0)}
    names |= {f"kept:{g}": _copy(graph, found.graph, node) for g, node in derivative.kept.items()}
    names |= {n: graph.input(n) for n in (*cell.gates, *cell.vectors, *cell.states)}
    rules = _onto(graph)
    slope = derivative.gradients.get(state, derivative.graph.constant(0.0))  # a step need not look at its state
    (a,) = derivative.graph.evaluate([slope], names, rules)
    (b,) = found.graph.evaluate([found.states[state]], names | {state: graph.constant(0.0)}, rules)
    if any(n.op == "input" and n.value == state for n in graph.needed([a])):
        return None
    return graph, a, b


def _copy(graph: Graph, of: Graph, node: Node) -> Node:
    names = {n.value: graph.input(n.value) for n in of.nodes if n.op == "input"}
    (made,) = of.evaluate([node], names, _onto(graph))
    return made


def _onto(graph: Graph) -> dict[str, Callable[..., Any]]:
    """Return rules that write the operations of one graph into another."""
    operations = {op: partial(graph.apply, op) for op in (*RULES, "positive", "larger")}
    return operations | {"constant": graph.constant}


def recur(r: Recurrence) -> Result:
    """Compute ``r`` for a cell that has `coefficients`."""
    cell, w = r.cell, r.weights
    found = coefficients(type(cell))
    assert found is not None
    graph, *nodes = found
    state = cell.states[0]
    # every gate sees the input: there is nothing else that it could see
    products = linear(r.x, w.ih) + w.bias  # of the bias's type under autocast too, as everything that follows
    gates = dict(zip(cell.gates, products.chunk(len(cell.gates), 2), strict=True))
    rules = RULES | {"constant": w.bias.new_tensor}
    a, b = (v.expand(gates[cell.gates[0]].shape) for v in graph.evaluate(nodes, gates | w.vectors, rules))
    if state in r.zones:
        zone = r.zones[state]
        a, b = zone + (1 - zone) * a, (1 - zone) * b
    if r.resets is not None:
        anew = r.resets[:, :, None]
        a, b = torch.where(anew, 0, a), torch.where(anew, a * r.starts[0] + b, b)
    mask = r.mask
    if mask is not None:
        a, b = torch.where(mask, a, 1), torch.where(mask, b, 0)
    if r.reverse:
        a, b = a.flip(0), b.flip(0)
    h = _scan(a, b, r.states[0])
    final = h[-1]
    h = h.flip(0) if r.reverse else h
    return (h if mask is None else h * mask), (final,)


def _scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """Return h_t = a_t h_{t-1} + b_t for all t, by doubling the number of steps that are joined."""
    b = torch.cat([a[:1] * initial + b[:1], b[1:]])
    reach = 1
    while reach < len(a):
        b = torch.cat([b[:reach], a[reach:] * b[:-reach] + b[reach:]])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b

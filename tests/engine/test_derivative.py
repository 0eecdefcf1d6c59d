"""The derivative of a cell's step, as a graph, is the one that autograd finds for the step on tensors."""

from typing import Any

import pytest
import torch
from odd_cells import ODD
from own_cells import OWN
from torch import Tensor
from torch.nn.functional import logsigmoid

from lstmlab import registry
from lstmlab.cells import Cell, equations, sigmoid, tanh
from lstmlab.engine.derivative import derive
from lstmlab.engine.scan import RULES

BATCH = 9
ON_TENSORS = RULES | {
    "constant": lambda value: torch.tensor(value, dtype=torch.float64),
    "log_sigmoid": logsigmoid,
    "positive": lambda x: (x > 0).double(),
    "larger": lambda x, y: (x > y).double() + (x == y).double() / 2,
}


registered = [registry.cell.get(name) for name in registry.cell]
ELEMENTWISE = [c for c in (*registered, *OWN, *ODD) if equations(c).is_elementwise]
every_cell = pytest.mark.parametrize("cell", ELEMENTWISE, ids=lambda c: c.__name__)


def drawn(cell: type[Cell], whole: bool = False) -> dict[str, Tensor]:
    """Return random gates, states and vectors: small whole numbers, so that some are equal, or any."""
    torch.manual_seed(0)
    found = {}
    for name in (*cell.gates, *cell.states, *cell.vectors):
        shape = (BATCH,) if name in cell.vectors else (BATCH, BATCH)
        value = torch.randint(-1, 2, shape).double() if whole else torch.randn(shape, dtype=torch.float64)
        found[name] = (value.abs() + 1 if name == "n" else value).requires_grad_()
    return found


@every_cell
@pytest.mark.parametrize("whole", [False, True], ids=["any", "whole"])
def test_gradients_are_those_of_autograd(cell: type[Cell], whole: bool) -> None:
    """Given what forward keeps, the old states and the vectors, for arbitrary gradients of the new states."""
    given, made = drawn(cell, whole), derive(cell)
    new = cell().step(*(given[g] for g in cell.gates), **{k: given[k] for k in cell.keywords()})
    arriving = {s: torch.randn(BATCH, BATCH, dtype=torch.float64) for s in cell.states}
    results = [new[s].expand(BATCH, BATCH) for s in cell.states]
    expected = torch.autograd.grad(results, list(given.values()), list(arriving.values()), allow_unused=True)

    values = {k: v.detach() for k, v in given.items()}
    kept = made.forward.graph.evaluate(list(made.kept.values()), values, ON_TENSORS)
    names = {f"kept:{g}": v for g, v in zip(made.kept, kept, strict=True)}
    names |= {f"grad:{s}": v for s, v in arriving.items()}
    names |= {k: values[k] for k in (*cell.states, *cell.vectors)}
    found = made.graph.evaluate(list(made.gradients.values()), names, ON_TENSORS)
    by_name = dict(zip(made.gradients, found, strict=True))
    for name, value in zip(given, expected, strict=True):
        if value is None:
            assert name not in by_name or not by_name[name].any()
        else:
            own = by_name[name].expand(BATCH, BATCH)
            torch.testing.assert_close(own.sum(0) if name in cell.vectors else own, value, msg=lambda m, n=name: n + m)


@every_cell
def test_backward_needs_only_what_is_kept(cell: type[Cell]) -> None:
    """One value for each gate, the states before and the vectors: no other value of the forward pass."""
    made = derive(cell)
    needed = made.graph.needed(list(made.gradients.values()))
    inputs = {n.value for n in needed if n.op == "input"}
    allowed = {f"kept:{g}" for g in cell.gates} | {f"grad:{s}" for s in cell.states} | {*cell.states, *cell.vectors}
    assert inputs <= allowed
    assert set(made.kept) == set(cell.gates)


def kept(cell: type[Cell]) -> dict[str, str]:
    return {gate: node.op for gate, node in derive(cell).kept.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vanilla", {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}),
        ("peephole", {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}),
        ("niaf", {"i": "sigmoid", "f": "sigmoid", "g": "input", "o": "sigmoid"}),
        ("fgr", {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}),
        ("mingru", {"z": "sigmoid", "g": "input"}),
    ],
)
def test_activations_are_kept_where_they_tell_their_slope(name: str, expected: dict[str, str]) -> None:
    """So that backward computes no sigmoid or tanh of a gate again."""
    assert kept(registry.cell.get(name)) == expected


def test_activations_of_kept_gates_are_not_computed_again() -> None:
    """The backward pass of an LSTM has one nonlinearity: the tanh of the cell state."""
    made = derive(registry.cell.get("vanilla"))
    needed = made.graph.needed(list(made.gradients.values()))
    assert [n.op for n in needed if n.op in ("sigmoid", "tanh", "exp")] == ["tanh"]


def test_a_gate_that_is_used_twice_is_kept_itself() -> None:
    """Nor is an activation kept for a gate that is a state as well, which would be lost."""

    class Twice(Cell):
        gates = ("f", "g")
        states = ("h", "e")

        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            return {"h": sigmoid(f) * h + tanh(f) * tanh(g), "e": g}

    assert kept(Twice) == {"f": "input", "g": "input"}

"""A cell's traced equations are what the cell computes, and what a reader is shown."""

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy
import torch
from latex2mathml.converter import convert
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.cells import Cell, sigmoid, tanh
from lstmlab.engine import RNN
from lstmlab.engine.tracing import trace
from lstmlab.training.probes import probe

NUMPY = [{"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}, "numpy"]


class MinimalGated(Cell):
    """One gate and one state (Zhou et al. 2016, without the gate in the candidate's recurrent part)."""

    gates = ("f", "g")
    states = ("h",)
    forget = {"f": -1.0}  # noqa: RUF012

    def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
        f, g = sigmoid(f), tanh(g)
        return {"h": (1 - f) * h + f * g}


class OutputIsState(Cell):
    """Forget gate only; the output is the cell state itself (JANET, van der Westhuizen and Lasenby 2018)."""

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


registered = [registry.cell.get(name) for name in registry.cell]
every_cell = pytest.mark.parametrize("cell", registered, ids=list(registry.cell))
every_cell_and_ours = pytest.mark.parametrize("cell", [*registered, MinimalGated, OutputIsState, WrittenOut])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(cell: type[Cell]) -> RNN:
    rnn = RNN(cell, 2, 3).double()
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    return rnn


def solve(cell: type[Cell], known: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Evaluate the equations one after the other, from pre-activations, old states and vectors by name."""
    values = {name: value.numpy() for name, value in known.items()}
    for name, expr in trace(cell).equations.items():
        symbols = sorted(expr.free_symbols, key=str)
        values[f"{name}_t"] = sympy.lambdify(symbols, expr, NUMPY)(*(values[str(s)] for s in symbols))
    return values


@every_cell_and_ours
def test_equations_compute_what_step_computes(cell: type[Cell]) -> None:
    """Every new state has the value that the step returns for the same numbers."""
    names = [*cell.gates, *cell.keywords()]
    drawn = {name: torch.randn(7, dtype=torch.float64) for name in names}
    expected = cell().step(*(drawn[g] for g in cell.gates), **{k: drawn[k] for k in cell.keywords()})
    assert_acyclic(cell)
    solved = solve(cell, {f"{k}_old" if k in cell.states else k: v for k, v in drawn.items()})
    assert set(expected) == set(cell.states)
    for state, value in expected.items():
        np.testing.assert_allclose(solved[f"{state}_t"], value.numpy(), rtol=1e-12, atol=1e-12)


def assert_acyclic(cell: type[Cell]) -> None:
    """Some equation can be computed first: else putting them in order would never end."""
    traced = trace(cell)
    todo = {f"{k}_t": {str(s) for s in e.free_symbols} for k, e in (traced.activations | traced.states).items()}
    while todo:
        ready = [name for name, needs in todo.items() if not needs & (set(todo) - {name})]
        assert ready, f"equations that need one another: {todo}"
        for name in ready:
            del todo[name]


@every_cell
def test_probe_shows_what_the_layer_computes(cell: type[Cell]) -> None:
    """A probe's columns are the equations; its states are the layer's at every step."""
    rnn, x = build(cell), torch.randn(6, 2, dtype=torch.float64)
    frame = probe(rnn, x)
    assert set(frame.columns) == {"step", "unit", *trace(cell).equations}
    output, states = rnn(x)
    by_step = frame.pivot(index="step", columns="unit")
    np.testing.assert_allclose(by_step[cell.states[0]], output.detach().numpy(), atol=1e-12)
    for name, state in zip(cell.states, states if isinstance(states, tuple) else (states,), strict=True):
        np.testing.assert_allclose(by_step[name].iloc[-1], state[0].detach().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("cell", "pieces"),
    [
        ("vanilla", [r"W_{i} x_t + R_{i} h_{t-1} + b_{i}", {r"f_{t}", r"c_{t-1}"}, {r"g_{t}", r"i_{t}"}]),
        ("peephole", [{r"p_{i}", r"c_{t-1}"}, {r"p_{f}", r"c_{t-1}"}, {r"p_{o}", r"c_{t}"}]),
        ("coupled", [r"1 - i_{t}", {r"\left(1 - i_{t}\right)", r"c_{t-1}"}]),
    ],
)
def test_latex_is_the_papers_equation(cell: str, pieces: list[str | set[str]]) -> None:
    """What distinguishes each cell is in its LaTeX; a set names two factors in either order."""
    latex = trace(registry.cell.get(cell)).latex()
    for piece in pieces:
        orders = [piece] if isinstance(piece, str) else [r" \odot ".join(p) for p in (piece, reversed([*piece]))]
        assert any(order in latex for order in orders), piece


def test_only_coupled_lacks_a_forget_gate_and_only_peephole_has_peepholes() -> None:
    """The LaTeX of a cell does not mention what the cell does not have."""
    latex = {name: trace(registry.cell.get(name)).latex() for name in ("vanilla", "peephole", "coupled")}
    assert [name for name, text in latex.items() if "W_{f}" in text] == ["vanilla", "peephole"]
    assert [name for name, text in latex.items() if "p_{" in text] == ["peephole"]


@every_cell
def test_latex_becomes_aligned_mathml(cell: type[Cell]) -> None:
    """Each equation is a row of a MathML table, and no alignment mark is left as text."""
    tree = ElementTree.fromstring(convert(trace(cell).latex().replace("{aligned}", "{align*}")))
    rows = [e for e in tree.iter() if e.tag.endswith("mtr")]
    assert len(rows) == len(trace(cell).equations)
    assert "&" not in "".join(tree.itertext())


def test_latex_keeps_the_sign_of_a_gate() -> None:
    """A minus before a pre-activation is shown: without it the equation is another one."""
    assert re.search(r"\\sigma\\left\(-", trace(WrittenOut).latex())


def test_latex_shows_a_vector_without_index_by_its_name() -> None:
    """A vector may have a plain name, which is then no subscript of nothing."""
    assert re.search(r"(?<!_{)scale", trace(WrittenOut).latex())


@pytest.mark.parametrize(
    "branch",
    [lambda c: c if c else -c, lambda c: c if c > 0 else -c, lambda c: c if c == 0 else -c],
    ids=["truth", "comparison", "equality"],
)
def test_a_branch_is_refused(branch: Any) -> None:
    """A step that decides by a value has no one set of equations: the message says that it cannot branch."""

    class Branching(MinimalGated):
        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            return {"h": branch(sigmoid(f) * h) + tanh(g)}

    with pytest.raises(TypeError, match="cannot branch"):
        trace(Branching)


def test_what_symbols_cannot_follow_is_a_type_error() -> None:
    """An operation outside the cells' language is refused with what the language has."""

    class Unusual(MinimalGated):
        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            return {"h": h + g.exp()}

    with pytest.raises(TypeError, match=r"cannot use \.exp\(\): it may add, multiply"):
        trace(Unusual)


def test_a_nonlinearity_of_something_else_defines_no_gate() -> None:
    """tanh(c), where c holds g without a nonlinearity of its own, is no gate activation."""

    class Identity(MinimalGated):
        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            f = sigmoid(f)
            return {"h": tanh(f * h + (1 - f) * g)}

    assert set(trace(Identity).activations) == {"f"}
    assert r"\left(1 - f_{t}\right) \odot \left(W_{g} x_t" in trace(Identity).latex()


@pytest.mark.parametrize("cell", [MinimalGated, OutputIsState, WrittenOut])
def test_a_cell_need_not_be_registered(cell: type[Cell]) -> None:
    """A class of ten lines trains in `RNN`, with right gradients."""
    rnn, x = build(cell), torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    output, states = rnn(x)
    assert output.shape == (4, 2, 3)
    assert isinstance(states, Tensor) == (len(cell.states) == 1)
    assert torch.autograd.gradcheck(lambda x, *_: rnn(x)[0], (x, *rnn.parameters()))

"""A cell's traced equations are what the cell computes."""

from typing import Any

import numpy as np
import pytest
import sympy
import torch
from layers import build, sequences
from own_cells import OWN, MinimalGated, OutputIsState
from torch import Tensor

from lstmlab import registry
from lstmlab.cells import Cell, sigmoid, tanh
from lstmlab.engine import RNN
from lstmlab.engine.tracing import trace

FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "exp": np.exp,
    "maximum": np.maximum,
}
NORMS = {"norm_h": lambda x: x - x.mean(), "norm_c": lambda x: (x - x.mean()) / x.std()}
registered = [registry.cell.get(name) for name in registry.cell]
every_cell = pytest.mark.parametrize("cell", [*registered, *OWN], ids=lambda cell: cell.__name__)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def solve(cell: type[Cell], known: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Evaluate the equations one after the other, from pre-activations, old states and vectors by name."""
    values = {name: value.numpy() for name, value in known.items()}
    for name, expr in trace(cell).equations.items():
        symbols = sorted(expr.free_symbols, key=str)
        function = sympy.lambdify(symbols, expr, [FUNCTIONS | NORMS, "numpy"])
        values[f"{name}_t"] = function(*(values[str(s)] for s in symbols))
    return values


@every_cell
def test_equations_compute_what_step_computes(cell: type[Cell]) -> None:
    """Every new state has the value that the step returns for the same numbers."""
    names = {*cell.gates, *cell.keywords()} - {*cell.norms()}
    drawn = {name: torch.randn(7, dtype=torch.float64) for name in sorted(names)}
    norms = {k: lambda x, k=k: torch.from_numpy(NORMS[k](x.numpy())) for k in cell.norms()}
    given = drawn | norms
    expected = cell().step(*(drawn[g] for g in cell.gates), **{k: given[k] for k in cell.keywords()})
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


def test_equations_are_in_terms_of_one_another() -> None:
    """Gates and new states are known by their names wherever they are used, the state that is the output too."""
    i, f, g, o, c, c_old = sympy.symbols("i_t f_t g_t o_t c_t c_old")
    peephole = trace(registry.cell.get("peephole"))
    assert peephole.states == {"h": o * sympy.Function("tanh")(c), "c": f * c_old + i * g}
    assert peephole.activations["o"] == sympy.Function("sigmoid")(sympy.Symbol("o") + sympy.Symbol("p_o") * c)
    assert list(peephole.equations) == ["i", "f", "g", "c", "o", "h"]
    assert trace(OutputIsState).states == {"h": c, "c": f * c_old + (1 - f) * g}


def test_a_nonlinearity_of_something_else_defines_no_gate() -> None:
    """tanh(c), where c holds g without a nonlinearity of its own, is no gate activation."""

    class Identity(MinimalGated):
        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            f = sigmoid(f)
            return {"h": tanh(f * h + (1 - f) * g)}

    assert set(trace(Identity).activations) == {"f"}
    assert r"\left(1 - f_{t}\right) \odot \left(W_{g} x_t" in trace(Identity).latex()


@pytest.mark.parametrize(
    ("cell", "gates"),
    [("niaf", "ifo"), ("gru", "rzn"), ("janet", "fg"), ("minlstm", "fi"), ("mingru", "z"), ("slstm", "ifzo")],
)
def test_gates_are_those_that_have_a_nonlinearity(cell: str, gates: str) -> None:
    """A linear candidate is no gate, and an exponential gate is one, stabilised or not."""
    assert set(trace(registry.cell.get(cell)).activations) == {*gates}


@pytest.mark.parametrize("cell", OWN)
def test_a_cell_need_not_be_registered(cell: type[Cell]) -> None:
    """A class of ten lines trains in `RNN`, with right gradients."""
    rnn, x = build(cell), sequences().requires_grad_()
    output, states = rnn(x)
    assert output.shape == (5, 3, 4)
    assert isinstance(states, Tensor) == (len(cell.states) == 1)
    assert torch.autograd.gradcheck(lambda x, *_: rnn(x)[0], (x, *rnn.parameters()))


def test_a_cell_is_traced_by_its_name_itself_or_its_class() -> None:
    rnn = RNN("gru", 2, 3)
    assert trace("gru").latex() == trace(rnn.cell).latex() == trace(type(rnn.cell)).latex()

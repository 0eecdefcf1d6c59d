"""A cell of ten lines runs on the fused path, whatever its equations are."""

from typing import Any

import pytest
import torch
from odd_cells import ODD
from own_cells import OWN
from parity import assert_fused_is_reference, compiler_or_skip, every_dtype, only_fused, states_of, threads, twins
from torch import Tensor

from lstmlab.cells import Cell, CellError, sigmoid, tanh
from lstmlab.engine import RNN, dispatch

every_cell = pytest.mark.parametrize("cell", [c for c in (*OWN, *ODD) if c.norm is None], ids=lambda c: c.__name__)
OPTIONS = {"zoneout": 0.3, "recurrent_dropout": 0.4, "weight_drop": 0.3, "learn_initial": True}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@every_dtype
@every_cell
@pytest.mark.parametrize("options", [{}, OPTIONS | {"num_layers": 2, "bidirectional": True}], ids=["plain", "all"])
def test_own_cells_are_the_reference(cell: type[Cell], dtype: torch.dtype, options: dict[str, Any]) -> None:
    """Every operation, constant, order of gates and choice of what feeds what, with all gradients."""
    fast, plain = twins(cell, dtype, 3, 19, **options)
    x, resets = torch.randn(6, 13, 3, dtype=dtype), torch.rand(6, 13) < 0.2
    given = (None, torch.randint(7, (13,)), resets) if options else (states_of(fast, 13), None, None)
    with threads(2):
        assert_fused_is_reference(fast, plain, x, *given)


@every_cell
def test_gradients_are_those_of_finite_differences(cell: type[Cell]) -> None:
    fast, _ = twins(cell, features=2, hidden=2)
    x, states = torch.randn(3, 2, 2, dtype=torch.float64).requires_grad_(), states_of(fast, 2)

    def function(x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        output, finals = fast(x, states)
        return output, *(finals if isinstance(finals, tuple) else (finals,))

    with only_fused():
        assert torch.autograd.gradcheck(function, (x, *fast.parameters()))


def test_a_cell_of_ten_lines_learns() -> None:
    """Defined here, never registered, trained by kernels alone: it remembers the sign of the first input."""
    compiler_or_skip()

    class Leaky(Cell):
        gates = ("f", "g")
        states = ("h",)

        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            f = sigmoid(f)
            return {"h": f * h + (1 - f) * tanh(g)}

    assert dispatch.path(Leaky).name == "fused"
    model = RNN(Leaky, 2, 16, engine="fused", forget_bias=2.0)
    head = torch.nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], 0.01)
    losses = []
    with only_fused():
        for _ in range(150):
            signs = torch.randn(32, 1).sign()
            x = torch.randn(12, 32, 2) * 0.3
            x[1:, :, 1], x[0, :, 1:] = 0, signs
            loss = (head(model(x)[0][-1]) - signs).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[0] > 0.5
    assert sum(losses[-10:]) / 10 < 0.05


def test_two_cells_of_one_name_are_two_cells() -> None:
    """As when a cell of a notebook is run again with other equations."""
    compiler_or_skip()

    def define(factor: float) -> type[Cell]:
        class Same(Cell):
            gates = ("g",)
            states = ("h",)
            recurrent = {}

            def step(self, g: Any) -> dict[str, Any]:
                return {"h": factor * tanh(g)}

        return Same

    layers = [RNN(define(factor), 3, 4) for factor in (1.0, 2.0)]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(5, 2, 3)
    with only_fused():
        first, second = (layer(x)[0] for layer in layers)
    torch.testing.assert_close(second, 2 * first)


def test_a_state_that_feeds_no_gate_is_refused() -> None:
    """It would be a matrix without rows."""

    class Empty(Cell):
        gates = ("g",)
        states = ("h",)
        recurrent = {"h": ()}

        def step(self, g: Any, *, h: Any) -> dict[str, Any]:
            return {"h": h + g}

    with pytest.raises(CellError, match=r"recurrent\['h'\] is \(\): make it a tuple of gates"):
        RNN(Empty, 3, 4)

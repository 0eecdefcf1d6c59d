"""`torch.compile` of a model that holds an `RNN`: one opaque operator, no break in the graph."""

from typing import Any

import pytest
import torch
from parity import assert_equal, every_fused, everything, only_fused, states_of, threads, twins
from torch import Tensor, nn

from lstmlab.engine import RNN, fused

some_cells = pytest.mark.parametrize("cell", ["vanilla", "fgr", "gru", "mingru", "slstm"])


@pytest.fixture(autouse=True)
def _anew() -> None:
    torch.manual_seed(0)
    torch.compiler.reset()


@some_cells
@pytest.mark.parametrize("given", ["", "lengths", "list", "resets", "states"])
def test_a_compiled_layer_is_the_same(cell: str, given: str) -> None:
    """Values and gradients in one graph, with whatever the layer can be given."""
    fast, _ = twins(cell, torch.float32, num_layers=2, bidirectional=True)
    x = torch.randn(6, 4, 3)
    rest = (
        states_of(fast, 4) if given == "states" else None,
        torch.tensor([6, 2, 0, 5]) if given == "lengths" else [6, 2, 0, 5] if given == "list" else None,
        torch.rand(6, 4) < 0.3 if given == "resets" else None,
    )
    with only_fused():
        expected = everything(fast, x, *rest)
        fast.compile(fullgraph=True, backend="aot_eager")
        assert_equal(everything(fast, x, *rest), expected)


@pytest.mark.parametrize("options", [
    {"zoneout": 0.3}, {"recurrent_dropout": 0.4}, {"weight_drop": 0.3}, {"learn_initial": True}, {"proj_size": 2},
    {"dropout": 0.3, "variational": True, "num_layers": 2}, {"checkpoint_every": 3},
], ids=lambda o: next(iter(o)))  # fmt: skip
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_options_compile(options: dict[str, Any], training: bool) -> None:
    """In evaluation the result is the same; in training it is finite, for masks are drawn in another order."""
    fast, _ = twins("peephole", torch.float32, **options)
    x = torch.randn(7, 4, 3)
    fast.train(training)
    with only_fused():
        expected = everything(fast, x)
        fast.compile(fullgraph=True, backend="aot_eager")
        found = everything(fast, x)
    same = not training or not {*options} & {"zoneout", "recurrent_dropout", "weight_drop", "dropout"}
    if same:
        assert_equal(found, expected)
    assert all(t.isfinite().all() for t in found.values())


def test_other_sizes_compile_too() -> None:
    """A graph for sizes that vary runs for all of them, with and without gradients."""
    fast, _ = twins("peephole", torch.float32)
    compiled = torch.compile(fast, fullgraph=True, backend="aot_eager", dynamic=True)
    for steps, batch in [(4, 3), (9, 2), (5, 7)]:
        x = torch.randn(steps, batch, 3)
        torch.testing.assert_close(compiled(x), fast(x))
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), fast(x))


class Model(nn.Module):
    """What a user compiles: something before the recurrence, and something after it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Linear(3, 6), RNN("peephole", 6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.rnn(torch.tanh(self.embed(x)))[0])).square().mean()


def test_the_default_backend_trains_a_model() -> None:
    """Inductor's code around the operator gives the same loss and gradients."""
    model = Model()
    x = torch.randn(6, 4, 3)
    expected = torch.autograd.grad(model(x), list(model.parameters()))
    found = torch.autograd.grad(torch.compile(model, fullgraph=True)(x), list(model.parameters()))
    torch.testing.assert_close(found, expected)


def test_autocast_compiles() -> None:
    """Products are rounded in the compiled graph as they are outside of it."""
    model = Model()
    x = torch.randn(6, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        expected = torch.autograd.grad(model(x), list(model.parameters()))
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        found = torch.autograd.grad(compiled(x), list(model.parameters()))
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-4)


def test_a_wrong_input_is_refused_in_a_compiled_layer_too() -> None:
    fast, _ = twins("vanilla", torch.float32)
    fast.compile(backend="aot_eager")
    with pytest.raises(ValueError, match="input must have 3 features per step, not 4"):
        fast(torch.zeros(5, 2, 4))
    with pytest.raises(ValueError, match=r"lengths must have shape \(2,\), not \(3,\)"):
        fast(torch.zeros(5, 2, 3), lengths=torch.tensor([1, 2, 3]))


def samples(cell: str, dtype: torch.dtype, keep: bool) -> tuple[Any, ...]:
    """Return arguments of the operator, with and without what may be left out."""
    fast, _ = twins(cell, dtype)
    kind, w = type(fast.cell), fast.weights()
    fused.recur  # the operator knows a cell by the key that this module gave it
    key = fused._key(kind)
    count = len(kind.states)
    x, states = torch.randn(4, 3, 3, dtype=dtype), torch.rand(2, count, 3, 5, dtype=dtype)
    hh = fused._matrix(kind, w, 5).detach()
    vectors = torch.rand(len(kind.vectors), 5, dtype=dtype)
    tensors = [t.detach().requires_grad_(keep) for t in (x, w.ih, hh, w.bias, vectors, *states)]
    options = [None] * 5 if keep else [
        torch.tensor([4, 0, 2]), (torch.rand(4, 3) < 0.3).to(torch.uint8), torch.rand(3, 5, dtype=dtype),
        torch.rand(count, 4, 3, 5, dtype=dtype), None,
    ]  # fmt: skip
    return (*tensors, options, key, False, "", keep)


@every_fused
@pytest.mark.parametrize("keep", [True, False], ids=["gradients", "options"])
def test_the_operator_keeps_the_rules_of_torch_library(cell: str, keep: bool) -> None:
    """Its schema, its shapes and its derivative hold under every check that torch has for operators."""
    given = samples(cell, torch.float64, keep)
    for count in (1, 2):
        with threads(count):
            torch.library.opcheck(torch.ops.lstmlab.recurrence.default, given)

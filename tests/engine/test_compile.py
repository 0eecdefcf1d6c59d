"""`torch.compile` of a model that holds an `RNN`: one opaque operator, no break in the graph."""

from typing import Any

import pytest
import torch
from own_cells import Everything
from parity import assert_equal, everything, only_fused, states_of, threads, twins
from torch import Tensor, nn

from lstmlab.engine import RNN, fused
from lstmlab.memo import constant

some_cells = pytest.mark.parametrize("cell", ["vanilla", "fgr", "gru", "mingru", "slstm"])
GIVEN = {"lengths": torch.tensor([6, 2, 0, 5]), "list": [6, 2, 0, 5]}


@pytest.fixture(autouse=True)
def _anew() -> None:
    torch.manual_seed(0)
    torch.compiler.reset()


def assert_compiles(rnn: RNN, *given: Any, same: bool = True) -> None:
    """Compile a layer without a break in its graph; compare values and gradients with before."""
    with only_fused():
        expected = everything(rnn, *given)
        rnn.compile(fullgraph=True, backend="aot_eager")
        found = everything(rnn, *given)
    assert all(t.isfinite().all() for t in found.values())
    if same:
        assert_equal(found, expected)


@some_cells
def test_a_compiled_layer_is_the_same(cell: str) -> None:
    """Values and gradients in one graph, with all that a layer can be given."""
    fast, _ = twins(cell, torch.float32, bidirectional=True)
    given = (torch.randn(6, 4, 3), states_of(fast, 4), GIVEN["lengths"], torch.rand(6, 4) < 0.3)
    assert_compiles(fast, *given)


@pytest.mark.parametrize("given", ["", "states", "lengths", "list", "resets"])
def test_what_is_given_compiles(given: str) -> None:
    fast, _ = twins("peephole", torch.float32, num_layers=2)
    states = states_of(fast, 4) if given == "states" else None
    resets = torch.rand(6, 4) < 0.3 if given == "resets" else None
    assert_compiles(fast, torch.randn(6, 4, 3), states, GIVEN.get(given), resets)


@pytest.mark.parametrize(
    "options",
    [{"learn_initial": True}, {"proj_size": 2}, {"checkpoint_every": 3}, {"zoneout": 0.3}, {"recurrent_dropout": 0.4},
     {"weight_drop": 0.3}, {"dropout": 0.3, "variational": True, "num_layers": 2}],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_options_compile(options: dict[str, Any]) -> None:
    """Masks are drawn in another order: with them what is computed is finite."""
    fast, _ = twins("peephole", torch.float32, **options)
    masks = {"zoneout", "recurrent_dropout", "weight_drop", "dropout"}
    assert_compiles(fast, torch.randn(7, 4, 3), same=not masks & {*options})


def test_zoneout_in_evaluation_compiles() -> None:
    fast, _ = twins("peephole", torch.float32, zoneout={"c": 0.3})
    assert_compiles(fast.eval(), torch.randn(7, 4, 3))


@pytest.mark.parametrize("cell", ["layernorm", "batchnorm", "peephole"])
def test_the_reference_compiles(cell: str) -> None:
    """Cells without a kernel are one graph too."""
    rnn = RNN(cell, 3, 4, engine="reference").eval()
    x = torch.randn(4, 3, 3)
    torch.testing.assert_close(torch.compile(rnn, fullgraph=True, backend="aot_eager")(x), rnn(x))


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


@pytest.mark.real  # the C++ compiler takes half a minute
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


def samples(cell: Any, keep: bool) -> tuple[Any, ...]:
    """Return arguments of the operator: with gradients, or with all that may be left out."""
    fast, _ = twins(cell)
    kind, w, count = type(fast.cell), fast.weights(), len(fast.cell.states)
    states = torch.rand(2, count, 3, 5, dtype=torch.float64)
    x, vectors = torch.randn(4, 3, 3, dtype=torch.float64), torch.rand(len(kind.vectors), 5, dtype=torch.float64)
    given = (x, w.ih, fused._matrix(kind, w, 5), w.bias, vectors, *states)
    resets = (torch.rand(4, 3) < 0.3).to(torch.uint8)
    drop, zones = torch.rand(3, 5, dtype=torch.float64), torch.rand(count, 4, 3, 5, dtype=torch.float64)
    options = [None] * 5 if keep else [GIVEN["lengths"][1:].clamp(max=4), resets, drop, zones, None]
    return (*(t.detach().requires_grad_(keep) for t in given), options, fused._key(kind), False, "", keep)


@pytest.mark.parametrize("keep", [True, False], ids=["gradients", "options"])
@pytest.mark.parametrize("cell", ["peephole", "fgr", "mingru", Everything])
def test_the_operator_keeps_the_rules_of_torch_library(cell: Any, keep: bool) -> None:
    """Its schema, its shapes and its derivative hold under every check that torch has for operators."""
    with threads(2):
        torch.library.opcheck(torch.ops.lstmlab.recurrence.default, samples(cell, keep))


def test_our_mark_of_a_constant_is_torch_s_own() -> None:
    def ours() -> None: ...

    def theirs() -> None: ...

    torch.compiler.assume_constant_result(theirs)
    assert vars(constant(ours)) == vars(theirs)

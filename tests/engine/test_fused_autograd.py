"""Second derivatives, transforms of functions and memory of the fused path."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from own_cells import Everything
from parity import ELEMENTWISE, assert_equal, compiler_or_skip, every_fused, everything, only_fused, states_of, twins
from torch import Tensor
from torch.autograd import forward_ad, grad, gradcheck, gradgradcheck
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from lstmlab import registry
from lstmlab.engine import RNN

some_cells = pytest.mark.parametrize("cell", ["peephole", "fgr", "gru", "mingru", "slstm", Everything])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def function_of(rnn: RNN, *more: Any) -> Callable[..., Any]:
    """Return the layer as a function of its input, initial states and parameters, each with a gradient."""
    names = [k for k, _ in rnn.named_parameters()]

    def function(x: Tensor, *rest: Tensor) -> Any:
        states = rest[: len(rnn.cell.states)]
        weights = dict(zip(names, rest[len(states) :], strict=True))
        output, finals = functional_call(rnn, weights, (x, states, *more))
        return output, *(finals if isinstance(finals, tuple) else (finals,))

    return function


def leaves_of(rnn: RNN, steps: int = 3, batch: int = 2) -> list[Tensor]:
    x = torch.randn(steps, batch, rnn.input_size, dtype=torch.float64)
    given = [x, *states_of(rnn, batch), *rnn.parameters()]
    return [t.detach().requires_grad_() for t in given]


@every_fused
def test_first_derivatives_are_those_of_finite_differences(cell: str) -> None:
    """Without the reference in between: kernels only."""
    fast, _ = twins(cell, features=2, hidden=3)
    with only_fused():
        assert gradcheck(function_of(fast, [3, 1]), leaves_of(fast), fast_mode=True)


@some_cells
@pytest.mark.parametrize("given", [(), ([3, 1],)], ids=["full", "lengths"])
def test_second_derivatives_are_those_of_finite_differences(cell: Any, given: tuple[Any, ...]) -> None:
    """`create_graph=True` differentiates the reference, in input, states and all parameters."""
    fast, _ = twins(cell, features=2, hidden=2)
    assert gradgradcheck(function_of(fast, *given), leaves_of(fast), fast_mode=True)


@some_cells
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_gradient_penalty_is_that_of_the_reference(cell: Any, training: bool) -> None:
    """The norm of the input's gradient can be part of a loss, with every option and mask."""
    options = {"zoneout": 0.3, "recurrent_dropout": 0.4, "weight_drop": 0.3, "bidirectional": True}
    made = twins(cell, learn_initial=True, **options)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    resets = torch.rand(5, 3) < 0.3

    def penalties(rnn: RNN) -> dict[str, Tensor]:
        leaf = x.clone().requires_grad_()
        torch.manual_seed(5)
        output, _ = rnn.train(training)(leaf, None, [5, 2, 0], resets)
        (slope,) = grad(output.square().sum(), leaf, create_graph=True)
        named = dict(rnn.named_parameters()) | {"x": leaf}
        gradients = grad((slope.square().sum() - 1).square(), list(named.values()))
        return dict(zip(named, gradients, strict=True)) | {"slope": slope.detach()}

    fast, plain = made
    assert_equal(penalties(fast), penalties(plain))


@some_cells
def test_transforms_of_functions_are_right(cell: Any) -> None:
    """`vjp`, `jvp`, `jacrev` and forward-mode differentiation agree with backward, and `vmap` with a loop."""
    fast, _ = twins(cell, features=2, hidden=3)
    function, given = function_of(fast), leaves_of(fast)
    values = [t.detach() for t in given]
    tangents, cotangents = [torch.randn_like(t) for t in values], [torch.randn_like(t) for t in function(*given)]
    expected = grad(function(*given), given, cotangents)
    results, pull = vjp(function, *values)
    torch.testing.assert_close(results, function(*values))
    torch.testing.assert_close(pull(tuple(cotangents)), expected)
    _, pushed = jvp(function, tuple(values), tuple(tangents))
    both = sum((c * p).sum() for c, p in zip(cotangents, pushed, strict=True))
    torch.testing.assert_close(both, sum((t * e).sum() for t, e in zip(tangents, expected, strict=True)))
    with forward_ad.dual_level():
        duals = function(*(forward_ad.make_dual(v, t) for v, t in zip(values, tangents, strict=True)))
        torch.testing.assert_close([forward_ad.unpack_dual(d).tangent for d in duals], list(pushed))
    jacobian = jacrev(lambda x: function(x, *values[1:])[0])(values[0])
    torch.testing.assert_close(torch.einsum("tbh,tbhTBI->TBI", cotangents[0], jacobian), grad(
        function(*given)[0], given[0], cotangents[0])[0])  # fmt: skip
    many = torch.randn(4, *values[0].shape, dtype=torch.float64)
    torch.testing.assert_close(
        vmap(lambda x: function(x, *values[1:])[0])(many), torch.stack([function(x, *values[1:])[0] for x in many])
    )


def test_weights_of_an_ensemble_can_be_mapped() -> None:
    """`vmap` over stacked parameters, with `torch.func.grad` inside, equals one model after the other."""
    compiler_or_skip()
    members = [RNN("peephole", 3, 4) for _ in range(3)]
    stacked, _ = torch.func.stack_module_state(members)
    x = torch.randn(5, 2, 3)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return functional_call(members[0], weights, (x,))[0].square().sum()

    found = vmap(torch.func.grad(loss))(stacked)
    for i, member in enumerate(members):
        expected = grad(member(x)[0].square().sum(), list(member.parameters()))
        torch.testing.assert_close([found[k][i] for k, _ in member.named_parameters()], list(expected))


@every_fused
def test_backward_keeps_a_value_for_each_gate_and_state(cell: str) -> None:
    """Besides input and weights, at most pre-activations and states of each step are kept."""
    fast, _ = twins(cell, torch.float32, 3, 8)
    steps, batch = 50, 4
    kept = bytes_kept(fast, torch.randn(steps, batch, 3))
    kind = registry.cell.get(cell)
    once = sum(p.numel() for p in fast.parameters()) * 2 + batch * 8 * len(kind.states) * 4 + steps * batch * 3
    assert kept <= 4 * (steps * batch * 8 * (len(kind.gates) + len(kind.states)) + once)


def bytes_kept(rnn: RNN, x: Tensor) -> int:
    """Return the size of all memory that the graph of one call holds."""
    found = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t), only_fused():
        results = rnn(x)
    assert results
    return sum(found.values())


OPTIONS: dict[str, Any] = {
    "zoneout": 0.3,
    "recurrent_dropout": 0.4,
    "weight_drop": 0.3,
    "bidirectional": True,
    "num_layers": 2,
}


@every_fused
@pytest.mark.parametrize("every", [1, 4, 5, 20])
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "options"])
def test_segments_change_nothing(cell: str, every: int, options: dict[str, Any]) -> None:
    """`checkpoint_every` gives the same results to the last bit, and the same gradients."""
    whole, _ = twins(cell, **options)
    parts = RNN(cell, 3, 5, checkpoint_every=every, **options).double()
    parts.load_state_dict(whole.state_dict())
    x, lengths = torch.randn(11, 4, 3, dtype=torch.float64), [11, 8, 0, 3]
    given = (x, states_of(whole, 4), lengths, torch.rand(11, 4) < 0.2)
    with only_fused():
        found, expected = everything(parts, *given), everything(whole, *given)
    assert_equal(found, expected)
    assert all(torch.equal(found[k], expected[k]) for k in ("output", *whole.cell.states))


@pytest.mark.parametrize("cell", [c for c in ELEMENTWISE if c in ("vanilla", "slstm", "fgr", "mingru")])
def test_segments_keep_less(cell: str) -> None:
    """With segments as long as the root of the length, what is kept no longer holds a value per gate."""
    whole, _ = twins(cell, torch.float32, 3, 8)
    parts = RNN(cell, 3, 8, checkpoint_every=10)
    x = torch.randn(100, 4, 3)
    assert bytes_kept(parts, x) < bytes_kept(whole, x) / 2

"""Gradients of every cell are right: of input, initial states and each parameter."""

from typing import Any

import layers
import pytest
import torch
from layers import every_cell, run
from torch import Tensor
from torch.nn.utils import parametrizations

from lstmlab.engine import RNN

STEPS, BATCH, HIDDEN = 4, 3, 3


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(cell: str, **options: Any) -> RNN:
    return layers.build(cell, hidden_size=HIDDEN, **options)


def leaves(rnn: RNN) -> tuple[Tensor, list[Tensor]]:
    """Return a random input and random initial states that require gradients."""
    return layers.sequences(STEPS).requires_grad_(), [s.requires_grad_() for s in layers.initial(rnn)]


@every_cell
@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({}, None),
        ({}, [2, 4, 0]),
        ({"num_layers": 2, "bidirectional": True}, [2, 4, 0]),
    ],
    ids=["plain", "lengths", "stacked_lengths"],
)
def test_gradients_are_those_of_finite_differences(
    cell: str, options: dict[str, Any], lengths: list[int] | None
) -> None:
    """Outputs and final states have the right gradients in input, initial states and all parameters."""
    rnn = build(cell, **options)
    x, states = leaves(rnn)

    def compute(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        # gradcheck perturbs its inputs in place, and those after the states are the layer's own parameters
        return run(rnn, x, rest[: len(states)], lengths)

    # With lengths the sum in a random direction is checked: one by one, as without, takes minutes.
    assert torch.autograd.gradcheck(compute, (x, *states, *rnn.parameters()), fast_mode=lengths is not None)


@every_cell
def test_everything_learns(cell: str) -> None:
    """No parameter and no initial state is without influence on the output."""
    rnn = build(cell, num_layers=2, bidirectional=True)
    x, states = leaves(rnn)
    output, _ = rnn(x, states)
    named = dict(rnn.named_parameters()) | dict(zip(rnn.cell.states, states, strict=True)) | {"input": x}
    gradients = torch.autograd.grad(output.square().sum(), list(named.values()))
    assert [k for k, g in zip(named, gradients, strict=True) if not g.any()] == []


@every_cell
def test_padding_receives_no_gradient(cell: str) -> None:
    """Neither does padding get a gradient, nor does it change that of anything else."""
    rnn = build(cell, num_layers=2, bidirectional=True)
    x, states = leaves(rnn)
    lengths = [2, 4, 0]
    padding = torch.arange(STEPS)[:, None] >= torch.tensor(lengths)
    noisy = torch.where(padding[:, :, None], 1e6, x.detach()).requires_grad_()
    for_clean, for_noisy = (
        torch.autograd.grad(sum(t.square().sum() for t in run(rnn, v, states, lengths)), [v, *rnn.parameters()])
        for v in (x, noisy)
    )
    torch.testing.assert_close(for_noisy, for_clean)
    assert not for_noisy[0][padding].any()


@every_cell
def test_functional_call_uses_the_weights_it_is_given(cell: str) -> None:
    """`torch.func` can differentiate with respect to weights that are not the layer's own."""
    rnn, other = build(cell), build(cell)
    x, states = leaves(rnn)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(rnn, weights | dict(other.named_buffers()), (x, states))[0].sum()

    gradients = torch.func.grad(loss)({k: v.detach() for k, v in other.named_parameters()})
    expected = torch.autograd.grad(other(x, states)[0].sum(), list(other.parameters()))
    torch.testing.assert_close(tuple(gradients.values()), expected)


@every_cell
def test_weights_can_be_parametrised(cell: str) -> None:
    """Torch's weight norm applies to a matrix, and at first changes nothing."""
    rnn = build(cell)
    x, states = leaves(rnn)
    expected = run(rnn, x, states)
    parametrizations.weight_norm(rnn, "weight_hh_l0" if rnn.cell.recurrent else "weight_ih_l0")
    torch.testing.assert_close(run(rnn, x, states), expected)

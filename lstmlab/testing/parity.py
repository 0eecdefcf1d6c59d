"""The same layer computed in two ways: all that both give, side by side."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from lstmlab.engine import RNN

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}  # of the largest value of a tensor


def states_of(rnn: RNN, batch: int) -> tuple[Tensor, ...]:
    """Return random initial states; a normaliser n is above 0, or the output would have a pole."""
    count, dtype = rnn.num_layers * len(rnn.suffixes), rnn.weights().bias.dtype
    drawn = {k: torch.randn(count, batch, rnn.width(k), dtype=dtype) for k in rnn.cell.states}
    return tuple(v.abs() + 1 if k == "n" else v for k, v in drawn.items())


def settle(rnn: RNN, steps: int = 5) -> RNN:
    """Put a layer with batch norm into evaluation, with statistics of so many steps.

    In training its rows depend on one another, and on which of them have ended, as they should.
    """
    if rnn.cell.norm == "batch":
        x = torch.randn(steps, 8, rnn.input_size, dtype=rnn.weights().bias.dtype)
        rnn(x.transpose(0, 1) if rnn.batch_first else x)
        rnn.eval()
    return rnn


def results(rnn: RNN, x: Any, hx: Any = None, lengths: Any = None, resets: Tensor | None = None) -> Any:
    """Return the output and the final states one after the other."""
    output, states = rnn(x, hx, lengths, resets)
    return output, *(states if isinstance(states, tuple) else (states,))


def each_alone(rnn: RNN, x: Tensor, hx: tuple[Tensor, ...], lengths: list[int]) -> tuple[Tensor, ...]:
    """Run every sequence without the others and without padding; put the results side by side."""
    found = []
    for b, length in enumerate(lengths):
        own, alone = x[:length, b : b + 1], [s[:, b : b + 1].contiguous() for s in hx]
        nothing = x.new_zeros(0, 1, rnn.output_size * len(rnn.suffixes))
        output, *states = results(rnn, own, alone) if length else (nothing, *alone)
        found.append([pad(output, (0, 0, 0, 0, 0, len(x) - length)), *states])
    return tuple(torch.cat(parts, 1) for parts in zip(*found, strict=True))


def everything(
    rnn: RNN, x: Tensor, hx: tuple[Tensor, ...] | None = None, lengths: Any = None, resets: Tensor | None = None
) -> dict[str, Tensor]:
    """Return output, final states and the gradients of all that is differentiable, with random masks of one seed."""
    x = x.detach().requires_grad_()
    hx = None if hx is None else tuple(s.detach().requires_grad_() for s in hx)
    torch.manual_seed(7)
    found = results(rnn, x, hx, lengths, resets)
    named = {"grad x": x} | {f"grad {k}": p for k, p in rnn.named_parameters()}
    named |= {f"grad {k}_0": s for k, s in zip(rnn.cell.states, hx or (), strict=bool(hx))}
    weights = torch.Generator().manual_seed(3)
    loss = sum((t * torch.randn(t.shape, dtype=torch.float64, generator=weights).to(t)).sum() for t in found)
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    all_ = dict(zip(("output", *rnn.cell.states), found, strict=True))
    all_ |= {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(named.items(), gradients, strict=True)}
    return {k: v.detach() for k, v in all_.items()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float | None = None) -> None:
    """Compare by name, each with the largest of its values as the scale."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype), name
        scale = max(value.abs().max().item() if value.numel() else 0.0, 1e-2)
        bound = (TOLERANCE[value.dtype] if tolerance is None else tolerance) * scale
        torch.testing.assert_close(found[name], value, rtol=0, atol=bound, msg=partial("{}: {}".format, name))

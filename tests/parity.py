"""The same layer on its fused path and on the reference: all that both compute, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from lstmlab import registry
from lstmlab.cells import Cell, equations
from lstmlab.engine import RNN, compiler, dispatch, reference, scan

ELEMENTWISE = [name for name in registry.cell if equations(registry.cell.get(name)).is_elementwise]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}  # of the largest value of a tensor
every_fused = pytest.mark.parametrize("cell", ELEMENTWISE)
every_dtype = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float32", "float64"])


def compiler_or_skip() -> None:
    try:
        compiler.describe()
    except compiler.CompilerError as error:
        pytest.skip(str(error))


def twins(
    cell: str | type[Cell], dtype: torch.dtype = torch.float64, features: int = 3, hidden: int = 5, **options: Any
) -> tuple[RNN, RNN]:
    """Return a layer with random biases and learnt states, and its equal on the reference."""
    compiler_or_skip()
    fast = RNN(cell, features, hidden, **options)
    plain = RNN(cell, features, hidden, **options, engine="reference")
    with torch.no_grad():
        for name, parameter in fast.named_parameters():
            if name.startswith(("bias", "initial_")):
                parameter += torch.randn_like(parameter) * 0.3
    plain.load_state_dict(fast.state_dict())
    return fast.to(dtype), plain.to(dtype)


def states_of(rnn: RNN, batch: int) -> tuple[Tensor, ...]:
    """Return random initial states; a normaliser n is above 0, or the output would have a pole."""
    count, dtype = rnn.num_layers * len(rnn.suffixes), rnn.weights().bias.dtype
    drawn = {k: torch.randn(count, batch, rnn.width(k), dtype=dtype) for k in rnn.cell.states}
    return tuple(v.abs() + 1 if k == "n" else v for k, v in drawn.items())


@contextmanager
def only_fused() -> Iterator[None]:
    """Let nothing but kernels compute a recurrence."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("this was to run on the fused path")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "recur", refuse)
        patch.setattr(scan, "recur", refuse)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads, however small the work is."""
    from lstmlab.engine import kernels

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "SMALL", 1)
            yield
    finally:
        torch.set_num_threads(before)


def everything(
    rnn: RNN, x: Tensor, hx: tuple[Tensor, ...] | None = None, lengths: Any = None, resets: Tensor | None = None
) -> dict[str, Tensor]:
    """Return output, final states and the gradients of all that is differentiable, with random masks of one seed."""
    x = x.detach().requires_grad_()
    hx = None if hx is None else tuple(s.detach().requires_grad_() for s in hx)
    torch.manual_seed(7)
    output, states = rnn(x, hx, lengths, resets)
    results = (output, *(states if isinstance(states, tuple) else (states,)))
    named = {"grad x": x} | {f"grad {k}": p for k, p in rnn.named_parameters()}
    named |= {f"grad {k}_0": s for k, s in zip(rnn.cell.states, hx or (), strict=bool(hx))}
    weights = torch.Generator().manual_seed(3)
    loss = sum((t * torch.randn(t.shape, dtype=torch.float64, generator=weights).to(t)).sum() for t in results)
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    found = dict(zip(("output", *rnn.cell.states), results, strict=True))
    found |= {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(named.items(), gradients, strict=True)}
    return {k: v.detach() for k, v in found.items()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float | None = None) -> None:
    """Compare by name, each with the largest of its values as the scale."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype), name
        scale = max(value.abs().max().item() if value.numel() else 0.0, 1e-2)
        bound = (TOLERANCE[value.dtype] if tolerance is None else tolerance) * scale
        torch.testing.assert_close(found[name], value, rtol=0, atol=bound, msg=lambda m, n=name: f"{n}: {m}")


def assert_fused_is_reference(fast: RNN, plain: RNN, *given: Any, tolerance: float | None = None) -> None:
    """Compare values and gradients of a fused layer with those of its twin."""
    assert dispatch.path(type(fast.cell), fast.weights().bias.dtype).name == "fused"
    with only_fused():
        found = everything(fast, *given)
    with threads(1):  # on tensors as small as these the threads of plain PyTorch only wait for each other
        expected = everything(plain, *given)
    assert_equal(found, expected, tolerance)

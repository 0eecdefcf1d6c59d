"""The same layer on its fused path and on the reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import torch

from lstmlab import registry
from lstmlab.cells import Cell, equations
from lstmlab.engine import RNN, compiler, dispatch, reference, scan
from lstmlab.testing.parity import TOLERANCE, assert_equal, everything, states_of

__all__ = ["TOLERANCE", "assert_equal", "everything", "states_of"]  # from there, for the tests that import them here

ELEMENTWISE = [name for name in registry.cell if equations(registry.cell.get(name)).is_elementwise]
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


def assert_fused_is_reference(fast: RNN, plain: RNN, *given: Any, tolerance: float | None = None) -> None:
    """Compare values and gradients of a fused layer with those of its twin."""
    assert dispatch.path(type(fast.cell), fast.weights().bias.dtype).name == "fused"
    with only_fused():
        found = everything(fast, *given)
    with threads(1):  # on tensors as small as these the threads of plain PyTorch only wait for each other
        expected = everything(plain, *given)
    assert_equal(found, expected, tolerance)

"""Steps that are linear in their one state: the scan computes what the reference does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from odd_cells import LINEAR as ODD_LINEAR
from odd_cells import Decay, Forgetful
from own_cells import OWN
from parity import assert_equal, every_dtype, everything, states_of, twins

from lstmlab import registry
from lstmlab.cells import Cell, equations, maximum
from lstmlab.engine import RNN, dispatch, kernels, reference, scan
from lstmlab.engine.compiler import CompilerError

STEPS, BATCH = 13, 4
LENGTHS = [13, 5, 0, 12]
MASKS = {"zoneout": 0.3, "recurrent_dropout": 0.4, "weight_drop": 0.3, "learn_initial": True}
STACKED = {"num_layers": 2, "bidirectional": True}


LINEAR = ["minlstm", "mingru", *ODD_LINEAR]
every_linear = pytest.mark.parametrize("cell", LINEAR, ids=lambda c: c if isinstance(c, str) else c.__name__)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let no kernel be built, and nothing run on the reference."""

    def refuse(*_: object) -> Any:
        raise CompilerError("there is none")

    def forbid(*_: object) -> Any:
        raise AssertionError("this was to be a scan")

    dispatch._find_path.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "load", refuse)
        patch.setattr(reference, "recur", forbid)
        yield
    dispatch._find_path.cache_clear()


@every_dtype
@every_linear
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({}, "states lengths resets"),
        (STACKED, "lengths resets"),
        (MASKS | STACKED, "lengths resets"),
        (MASKS | STACKED, "lengths resets eval"),
        ({"checkpoint_every": 4}, "states lengths resets"),
    ],
)
def test_a_scan_is_the_reference(cell: Any, dtype: torch.dtype, options: dict[str, Any], words: str) -> None:
    """Values and all gradients, with every option."""
    fast, plain = twins(cell, dtype, **options)
    x, resets = torch.randn(STEPS, BATCH, 3, dtype=dtype), torch.rand(STEPS, BATCH) < 0.2
    given = (
        x,
        states_of(fast, BATCH) if "states" in words else None,
        LENGTHS if "lengths" in words else None,
        resets if "resets" in words else None,
    )
    fast.train("eval" not in words)
    with without_compiler():
        found = everything(fast, *given)
    assert_equal(found, everything(plain.train("eval" not in words), *given))


@every_linear
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 9, 100])
def test_any_length_is_right(cell: Any, steps: int) -> None:
    """Powers of two, one more, and a single step."""
    fast, plain = twins(cell)
    x = torch.randn(steps, 2, 3, dtype=torch.float64)
    with without_compiler():
        found = everything(fast, x)
    assert_equal(found, everything(plain, x))


def test_a_projection_can_be_scanned() -> None:
    fast, plain = twins(Forgetful, proj_size=2)
    x = torch.randn(STEPS, 2, 3, dtype=torch.float64)
    with without_compiler():
        found = everything(fast, x)
    assert_equal(found, everything(plain, x))


def test_without_a_compiler_linear_steps_are_scanned() -> None:
    """And nothing else is: a state that goes through a nonlinearity or a product needs its steps one by one."""
    with without_compiler():
        for name in registry.cell:
            cell = registry.cell.get(name)
            expected = "scan" if name in LINEAR else "reference"
            assert dispatch.path(cell).name == expected, name
            if equations(cell).is_elementwise:
                assert dispatch.path(cell).reason == "there is none"
        assert [dispatch.path(cell).name for cell in OWN] == ["reference"] * len(OWN)
        with pytest.raises(ValueError, match="engine='fused' is not to be had for MinLSTM: there is none"):
            RNN("minlstm", 3, 4, engine="fused")


def test_a_state_in_a_nonlinearity_is_not_scanned() -> None:
    """Neither where the derivative depends on the state, nor where it is one of two."""

    class Squared(Decay):
        def step(self, g: Any, *, h: Any, leak: Any) -> dict[str, Any]:
            return {"h": leak * h * h + g}

    class Bounded(Decay):
        def step(self, g: Any, *, h: Any, leak: Any) -> dict[str, Any]:
            return {"h": maximum(leak * h, g)}

    class Two(Cell):
        gates = ("g",)
        recurrent = {}

        def step(self, g: Any, *, c: Any) -> dict[str, Any]:
            return {"h": c + g, "c": c / 2 + g}

    assert [scan.coefficients(c) for c in (Squared, Bounded, Two)] == [None] * 3
    assert scan.coefficients(Decay) is not None


def test_a_scan_joins_steps_two_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of 1000 steps has a few operations per doubling, not per step."""
    rnn = RNN("minlstm", 3, 4)
    with without_compiler():
        node, seen = rnn(torch.randn(1000, 2, 3))[0].grad_fn, set()
    todo = [node]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [n for n, _ in node.next_functions]
    assert len(seen) < 250

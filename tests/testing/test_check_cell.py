"""Each check of a cell catches what it is there for, and says what to do; a sound cell passes all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from own_cells import Everything, MinimalGated, NormalisedFeedback
from torch import Tensor

from lstmlab import Cell, LstmlabError, sigmoid, tanh
from lstmlab.testing import CellSubject, ContractError, PromiseError, cell_checks, check_cell

CHECKS = dict(cell_checks())


class Base(Cell):
    """A cell to be broken: `twist` sees the new state, and may tell tensors from symbols."""

    gates = ("f", "g")
    states = ("h",)
    forget = {"f": 1.0}

    def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
        return {"h": self.twist(sigmoid(f) * h + (1 - sigmoid(f)) * tanh(g))}

    def twist(self, h: Any) -> Any:
        return h


class Summed(Base):
    """Sums over units."""

    def twist(self, h: Any) -> Any:
        return h.mean(1, keepdim=True) if isinstance(h, Tensor) else h


class OtherOnTensors(Base):
    """Says one thing to the graph and another to tensors."""

    def twist(self, h: Any) -> Any:
        return h * 1.01 if isinstance(h, Tensor) else h


class Detached(Base):
    """Hides a part from the gradient."""

    def twist(self, h: Any) -> Any:
        return h + h.detach() if isinstance(h, Tensor) else h + h


class Idle(Cell):
    """Has a gate that counts for nothing."""

    gates = ("f", "g")
    states = ("h",)

    def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
        return {"h": tanh(g) + (f - f) + 0.5 * h}


class BatchMean(Base):
    """Mixes the rows of a batch."""

    def twist(self, h: Any) -> Any:
        return h - h.mean(0) if isinstance(h, Tensor) else h


class Remembering(Base):
    """Counts its steps, where nobody sees it."""

    count = 0

    def twist(self, h: Any) -> Any:
        self.count += 1
        return h + 0.01 * self.count if isinstance(h, Tensor) else h


class Hidden(Base):
    """Has a weight that is no parameter."""

    def __init__(self) -> None:
        self.weight = torch.rand(())

    def twist(self, h: Any) -> Any:
        return h * self.weight if isinstance(h, Tensor) else h


class Exploding(Cell):
    """Doubles its state at every step."""

    gates = ("g",)
    states = ("h",)

    def step(self, g: Any, *, h: Any) -> dict[str, Any]:
        return {"h": 2 * h + g}


class Inverted(Base):
    """Declares its forget gate with the wrong sign."""

    forget = {"f": -1.0}


class Unprintable(Cell):
    """Has a name that LaTeX cannot take."""

    gates = ("g",)
    states = ("_h",)

    def step(self, g: Any, *, _h: Any) -> dict[str, Any]:
        return {"_h": tanh(g) + 0.5 * _h}


class Undocumented(Base):
    pass


class Incomplete(Cell):
    """Returns too little."""

    gates = ("g",)
    states = ("h", "c")

    def step(self, g: Any) -> dict[str, Any]:
        return {"h": tanh(g)}


BROKEN = [
    ("equations_run", Incomplete, "it returns ['h']"),
    ("equations_run", Summed, "'h': (1, 3, 1)"),
    ("engines_agree", OtherOnTensors, "reference differ in torch.float32: output"),
    ("engines_agree", Detached, "grad x"),
    ("gradients_are_right", Detached, "finite differences"),
    ("everything_learns", Idle, "without influence: gate f"),
    ("lengths_are_respected", BatchMean, "gives other numbers than alone"),
    ("padding_changes_nothing", Remembering, "padding changes"),
    ("no_leak_from_the_future", Remembering, "inputs after step 0 change outputs up to it"),
    ("resets_start_anew", Remembering, "differs from a new one"),
    ("resets_start_anew", BatchMean, "after a reset"),
    ("state_goes_on", Remembering, "two halves"),
    ("rows_are_independent", BatchMean, "rows of a batch mix"),
    ("layers_and_directions_stack", Remembering, "backward direction"),
    ("weights_round_trip", Hidden, "other numbers"),
    ("long_sequences_stay_finite", Exploding, "after 200 steps not finite: output"),
    ("forget_bias_keeps", Inverted, "with forget_bias=6"),
    ("latex_renders", Unprintable, "DoubleSubscriptsError"),
    ("summary_is_there", Undocumented, "no docstring"),
]


@pytest.mark.parametrize(("check", "cell", "what"), BROKEN, ids=[f"{name}-{cell.__name__}" for name, cell, _ in BROKEN])
def test_a_broken_cell_is_caught(check: str, cell: type[Cell], what: str) -> None:
    with pytest.raises(PromiseError) as caught:
        CHECKS[check](CellSubject(cell))
    assert what in caught.value.found
    assert len(caught.value.do) > 10


def test_costs_that_are_not_those_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmlab.testing._cell_equations.parameters", lambda *_: 7)
    with pytest.raises(PromiseError, match="7 parameters are counted, 56 are built"):
        CHECKS["costs_are_counted"](CellSubject(MinimalGated))


def test_every_check_is_proven_here() -> None:
    assert {*CHECKS} - {name for name, _, _ in BROKEN} == {"costs_are_counted"}


@pytest.mark.parametrize("cell", [Base, Everything, NormalisedFeedback], ids=lambda cell: cell.__name__)
def test_a_sound_class_passes_without_being_registered(cell: type[Cell]) -> None:
    check_cell(cell)


def test_all_that_fails_is_said_in_one_error_and_seeds_stay_as_they_were() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with pytest.raises(ContractError) as caught:
        check_cell(BatchMean)
    failed = {outcome.name for outcome in caught.value.failed}
    assert {"rows_are_independent", "lengths_are_respected", "engines_agree"} <= failed
    assert "summary_is_there" not in failed
    assert "cell 'BatchMean' breaks" in str(caught.value)
    assert str(caught.value).count("what to do:") == len(failed)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_equations_that_do_not_run_are_all_that_is_said() -> None:
    with pytest.raises(ContractError, match=Path(__file__).name) as caught:
        check_cell(Incomplete)
    assert [o.name for o in caught.value.failed] == ["equations_run"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(LstmlabError, match="Did you mean 'peephole'"):
        check_cell("peepholes")

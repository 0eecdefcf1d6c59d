"""With every option of the layer the fused path computes what the reference does, values and gradients."""

from typing import Any

import pytest
import torch
from parity import ELEMENTWISE, assert_fused_is_reference, every_dtype, every_fused, states_of, twins
from torch import Tensor

from lstmlab import registry
from lstmlab.cells import equations
from lstmlab.engine import RNN, dispatch

STEPS, BATCH, FEATURES, HIDDEN = 7, 4, 3, 5
LENGTHS = [7, 3, 0, 6]  # full, shorter, none
STACKED = {"num_layers": 2, "bidirectional": True}
MASKS = {
    "dropout": 0.5,
    "variational": True,
    "recurrent_dropout": 0.5,
    "zoneout": 0.3,
    "weight_drop": 0.4,
    "learn_initial": True,
}
CASES: dict[str, tuple[dict[str, Any], str]] = {  # id -> options of the layer, and what is given in words
    "plain": ({}, ""),
    "states": ({}, "states"),
    "lengths": ({}, "lengths"),
    "resets": ({}, "resets"),
    "resets_states_lengths": ({}, "resets states lengths"),
    "stacked": (STACKED, "states"),
    "stacked_lengths_resets": (STACKED, "lengths resets"),
    "zoneout": ({"zoneout": 0.4}, "resets"),
    "zoneout_eval": ({"zoneout": 0.4}, "resets eval"),
    "zoneout_of_output": ({"zoneout": "first"}, "lengths"),
    "zoneout_of_last_state": ({"zoneout": "last"}, "states"),
    "zoneout_of_last_state_eval": ({"zoneout": "last"}, "states eval"),
    "recurrent_dropout": ({"recurrent_dropout": 0.5}, "states"),
    "variational": ({"dropout": 0.5, "variational": True, "num_layers": 2}, ""),
    "weight_drop": ({"weight_drop": 0.5}, ""),
    "learn_initial": ({"learn_initial": True}, "resets"),
    "segments": ({"checkpoint_every": 3}, "states"),
    "all": (MASKS | STACKED, "lengths resets"),
    "all_states": (MASKS | STACKED, "lengths resets states"),
    "all_eval": (MASKS | STACKED, "lengths resets eval"),
    "all_segments": (MASKS | STACKED | {"checkpoint_every": 2}, "lengths resets"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(cell: str, dtype: torch.dtype, options: dict[str, Any], **more: Any) -> tuple[RNN, RNN]:
    states = registry.cell.get(cell).states
    named = {"first": {states[0]: 0.4}, "last": {states[-1]: 0.4}}
    options = {k: named.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
    return twins(cell, dtype, FEATURES, HIDDEN, **options, **more)


def given_to(rnn: RNN, words: str) -> tuple[Tensor, Any, Any, Any]:
    """Return input, states, lengths and resets, those that ``words`` name."""
    x = torch.randn(STEPS, BATCH, FEATURES, dtype=rnn.weights().bias.dtype)
    resets = torch.rand(STEPS, BATCH) < 0.3
    resets[0, 0] = resets[STEPS - 1, 1] = True
    return (
        x,
        states_of(rnn, BATCH) if "states" in words else None,
        LENGTHS if "lengths" in words else None,
        resets if "resets" in words else None,
    )


@every_dtype
@every_fused
@pytest.mark.parametrize(("options", "words"), CASES.values(), ids=list(CASES))
def test_fused_is_the_reference(cell: str, dtype: torch.dtype, options: dict[str, Any], words: str) -> None:
    """Values and all gradients agree, with the same masks drawn, and nothing of it ran on the reference."""
    fast, plain = build(cell, dtype, options)
    given = given_to(fast, words)
    assert_fused_is_reference(fast.train("eval" not in words), plain.train("eval" not in words), *given)


@every_dtype
@every_fused
@pytest.mark.parametrize("options", [{}, STACKED | {"weight_drop": 0.4}], ids=["plain", "stacked"])
@pytest.mark.parametrize("words", ["", "lengths resets"], ids=["full", "lengths_resets"])
def test_a_projection_is_fused_or_refused(cell: str, dtype: torch.dtype, options: dict[str, Any], words: str) -> None:
    """A cell that uses its output unit by unit is refused with the reason; the others equal the reference."""
    found = equations(registry.cell.get(cell))
    used = {n.value for n in found.graph.needed(list(found.states.values())) if n.op == "input"}
    if found.cell.states[0] in used:
        with pytest.raises(ValueError, match=f"proj_size cannot be used with {found.cell.__name__}: its equations use"):
            RNN(cell, FEATURES, HIDDEN, proj_size=2)
    else:
        fast, plain = build(cell, dtype, options, proj_size=2)
        assert_fused_is_reference(fast, plain, *given_to(fast, words))


@pytest.mark.parametrize("words", ["states", "zoneout", "recurrent_dropout", "learn_initial", "checkpoint_every"])
def test_a_projection_with_other_options_is_right(words: str) -> None:
    """What cannot be fused with a projection is computed by the reference."""
    options: dict[str, Any] = (
        {"learn_initial": True, "checkpoint_every": 3}.get(words)
        and {words: {"learn_initial": True, "checkpoint_every": 3}[words]}
        or ({} if words == "states" else {words: 0.4})
    )
    fast, plain = build("peephole", torch.float64, options, proj_size=2)
    from parity import assert_equal, everything

    given = given_to(fast, words)
    assert_equal(everything(fast, *given), everything(plain, *given))


def test_every_elementwise_cell_has_a_fused_path() -> None:
    """Where there is a compiler no elementwise cell stays in plain PyTorch; a cell with a norm says why it does."""
    from parity import compiler_or_skip

    compiler_or_skip()
    for name in registry.cell:
        found = dispatch.path(registry.cell.get(name))
        assert (found.name == "fused") == (name in ELEMENTWISE), f"{name}: {found.reason}"
        assert found.name == "fused" or "norm needs other units or rows" in found.reason

"""With every option of the layer the fused path computes what the reference does, values and gradients."""

from typing import Any

import pytest
import torch
from parity import (
    ELEMENTWISE,
    assert_equal,
    assert_fused_is_reference,
    compiler_or_skip,
    every_dtype,
    every_fused,
    everything,
    states_of,
    twins,
)
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


def build(cell: Any, dtype: torch.dtype, options: dict[str, Any], **more: Any) -> tuple[RNN, RNN]:
    states = (registry.cell.get(cell) if isinstance(cell, str) else cell).states
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "states"),
        ({"zoneout": 0.4}, ""),
        ({"zoneout": 0.4}, "eval"),
        ({"recurrent_dropout": 0.4}, "resets"),
        ({"learn_initial": True}, "resets"),
        ({"checkpoint_every": 3}, "lengths resets"),
        (MASKS | STACKED, "states"),
    ],
)
def test_a_projection_with_other_options_is_right(options: dict[str, Any], words: str) -> None:
    """What cannot be fused with a projection is computed by the reference."""
    fast, plain = build("peephole", torch.float64, options, proj_size=2)
    given = given_to(fast, words)
    training = "eval" not in words
    assert_equal(everything(fast.train(training), *given), everything(plain.train(training), *given))


def test_a_projection_of_an_output_that_does_not_start_at_zero_is_right() -> None:
    """The first step sees the initial output itself, which is a projection of nothing."""

    class Starting(registry.cell.get("vanilla")):
        initial = {"h": 1.0}

    fast, plain = build(Starting, torch.float64, {}, proj_size=2)
    given = given_to(fast, "resets")
    assert_equal(everything(fast, *given), everything(plain, *given))


def test_every_elementwise_cell_has_a_fused_path() -> None:
    """Where there is a compiler no elementwise cell stays in plain PyTorch; a cell with a norm says why it does."""
    compiler_or_skip()
    for name in registry.cell:
        found = dispatch.path(registry.cell.get(name))
        assert (found.name == "fused") == (name in ELEMENTWISE), f"{name}: {found.reason}"
        assert found.name == "fused" or "norm needs other units or rows" in found.reason


@pytest.mark.parametrize("words", ["", "states lengths resets"])
def test_fused_must_be_fused_when_it_is_asked_for(words: str) -> None:
    """A layer that asks for the fused path is an error where its type has none, and not a slow layer."""
    rnn = RNN("vanilla", FEATURES, HIDDEN, engine="fused").to(torch.bfloat16)
    with pytest.raises(ValueError, match="is not to be had for Vanilla: kernels compute in float32 and float64"):
        rnn(*given_to(rnn, words))


def test_a_state_that_is_kept_stays_to_the_last_bit() -> None:
    """Zoneout with a mask of ones changes nothing, whatever the sizes of old and new value."""
    fast, _ = twins("slstm", torch.float32, FEATURES, HIDDEN, zoneout=1 - 1e-9)
    x, hx = torch.randn(STEPS, BATCH, FEATURES), tuple(s * 1e4 for s in states_of(fast.float(), BATCH))
    _, states = fast(x, hx)
    assert all(torch.equal(a, b) for a, b in zip(states, hx, strict=True))

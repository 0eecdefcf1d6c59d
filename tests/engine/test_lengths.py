"""`RNN` treats every sequence of a batch as if it were alone, whatever its length."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import FEATURES, HIDDEN, STEPS, build, each_alone, every_cell, every_shape, initial, run, sequences
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from lstmlab.engine import RNN

every_packing = pytest.mark.parametrize(("lengths", "enforce_sorted"), [([5, 3, 1], True), ([3, 1, 5], False)])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@every_cell
@every_shape
def test_with_lengths_each_sequence_runs_as_if_alone(cell: str, options: dict[str, Any]) -> None:
    """Outputs and final states are those of each sequence by itself; an empty one keeps its initial states."""
    rnn, x, lengths = build(cell, **options), sequences(), [2, 5, 0]
    hx = initial(rnn)
    assert_close(run(rnn, x, hx, torch.tensor(lengths)), each_alone(rnn, x, hx, lengths))


@every_cell
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data(), options=st.fixed_dictionaries({"num_layers": st.integers(1, 2), "bidirectional": st.booleans()}))
def test_lengths_of_any_shape(cell: str, data: st.DataObject, options: dict[str, Any]) -> None:
    """Whatever the sizes and lengths, a batch equals its sequences run alone."""
    steps, batch, features, hidden = (data.draw(st.integers(1, 5), label=k) for k in "TBIH")
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch), label="lengths")
    rnn, x = build(cell, features, hidden, **options), sequences(steps, batch, features)
    hx = initial(rnn, batch)
    assert_close(run(rnn, x, hx, lengths), each_alone(rnn, x, hx, lengths))


@every_cell
@every_shape
@pytest.mark.parametrize("filler", [1e6, math.nan])
def test_padding_changes_nothing(cell: str, options: dict[str, Any], filler: float) -> None:
    """What stands after a sequence's end changes nothing, not by a bit; output and gradient are zero there."""
    rnn, x, lengths = build(cell, **options), sequences(), [2, 5, 3]
    padding = torch.arange(STEPS)[:, None] >= torch.tensor(lengths)
    filled = torch.where(padding[:, :, None], filler, x).requires_grad_()
    results = run(rnn, filled, None, lengths)
    assert_close(results, run(rnn, x, None, lengths), rtol=0, atol=0)
    assert not results[0][padding].any()
    results[0].sum().backward()
    assert not filled.grad[padding].any()
    assert all(p.grad.isfinite().all() for p in rnn.parameters())


@every_cell
@every_shape
@every_packing
def test_packed_equals_each_alone(cell: str, options: dict[str, Any], lengths: list[int], enforce_sorted: bool) -> None:
    """A packed sequence gives what its members give alone; initial and final states keep the batch's order."""
    rnn, x = build(cell, **options), sequences()
    hx = initial(rnn)
    result, *states = run(rnn, pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted), hx)
    output, ends = pad_packed_sequence(result)
    assert ends.tolist() == lengths
    assert_close((output, *states), each_alone(rnn, x, hx, lengths))
    assert_close((output, *states), run(rnn, x, hx, lengths))


@every_shape
@every_packing
def test_packed_vanilla_is_packed_lstm(options: dict[str, Any], lengths: list[int], enforce_sorted: bool) -> None:
    """For vanilla the packed output is that of `nn.LSTM`: data, batch sizes and both orders."""
    lstm = nn.LSTM(FEATURES, HIDDEN, **options).double()
    rnn, inputs = RNN.from_torch(lstm), pack_padded_sequence(sequences(), lengths, enforce_sorted=enforce_sorted)
    hx = initial(rnn)
    (actual, states), (expected, their_states) = rnn(inputs, hx), lstm(inputs, hx)
    assert isinstance(actual, PackedSequence)
    assert_close((tuple(actual), states), (tuple(expected), their_states))


@every_cell
@every_shape
def test_resets_in_padding_change_nothing(cell: str, options: dict[str, Any]) -> None:
    """A sequence that has ended does not start anew: its final states and output stay."""
    rnn, x, lengths = build(cell, **options), sequences(), [2, 5, 3]
    resets = torch.arange(STEPS)[:, None] >= torch.tensor(lengths)
    hx = initial(rnn)
    assert_close(run(rnn, x, hx, lengths, resets), run(rnn, x, hx, lengths), rtol=0, atol=0)


@every_shape
def test_a_reset_starts_anew(options: dict[str, Any]) -> None:
    """What follows a boundary is what it would be at the start of a sequence, in both directions."""
    rnn, x = build("peephole", **options | {"num_layers": 1}), sequences()
    resets = torch.zeros(x.shape[:2], dtype=torch.bool)
    resets[2, 1] = True
    output, *states = run(rnn, x, resets=resets)
    first, second = (run(rnn, part[:, 1:2]) for part in (x[:2], x[2:]))
    assert_close(output[:, 1:2], torch.cat([first[0], second[0]]))
    ends = [torch.cat([b[:1], a[1:]]) for a, b in zip(first[1:], second[1:], strict=True)]
    assert_close([s[:, 1:2] for s in states], ends)
    assert_close(output[:, ::2], run(rnn, x[:, ::2])[0])

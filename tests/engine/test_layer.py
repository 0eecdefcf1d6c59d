"""`RNN` behaves as `nn.LSTM` does, whatever its cell."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from layers import (
    BATCH,
    FEATURES,
    HIDDEN,
    STACKED,
    STEPS,
    build,
    every_cell,
    every_shape,
    initial,
    run,
    sequences,
    settle,
)
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.testing import assert_close

from lstmlab.engine import RNN


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@every_cell
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("shape", [(STEPS, BATCH, FEATURES), (STEPS, FEATURES)], ids=["batch", "unbatched"])
def test_shapes_are_those_of_lstm(
    cell: str, shape: tuple[int, ...], num_layers: int, bidirectional: bool, batch_first: bool
) -> None:
    """Output and every state have the shapes that `nn.LSTM` with the same options returns."""
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
    x, rnn = torch.zeros(shape), RNN(cell, FEATURES, HIDDEN, **options)
    expected, (h, _) = nn.LSTM(FEATURES, HIDDEN, **options)(x)
    assert [t.shape for t in run(rnn, x)] == [expected.shape] + [h.shape] * len(rnn.cell.states)


@every_cell
@every_shape
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
def test_unbatched_is_a_batch_of_one(cell: str, options: dict[str, Any], batch_first: bool) -> None:
    """A sequence without batch dimension gives what a batch of one gives, without that dimension."""
    rnn, x = build(cell, batch_first=batch_first, **options), sequences(batch=1)
    hx = initial(rnn, batch=1)
    output, *states = run(rnn, x.transpose(0, 1) if batch_first else x, hx)
    expected = (output.squeeze(0 if batch_first else 1), *(s.squeeze(1) for s in states))
    assert_close(run(rnn, x.squeeze(1), tuple(s.squeeze(1) for s in hx)), expected)


@every_cell
@every_shape
def test_batch_first_is_transposed(cell: str, options: dict[str, Any]) -> None:
    """``batch_first`` changes the order of input and output, not of states, and nothing else."""
    rnn, batch_first = build(cell, **options), build(cell, batch_first=True, **options)
    batch_first.load_state_dict(rnn.state_dict())
    x, hx, lengths = sequences(), initial(rnn), [2, 5, 0]
    output, *states = run(rnn, x, hx, lengths)
    assert_close(run(batch_first, x.transpose(0, 1), hx, lengths), (output.transpose(0, 1), *states))


@every_cell
def test_a_sequence_can_be_split(cell: str) -> None:
    """Two halves with the states carried over, as the layer returned them, equal one pass."""
    rnn, x = build(cell, num_layers=2), sequences()
    if rnn.cell.norm == "batch":
        pytest.skip("statistics belong to steps, counted from the start of a call")
    hx = initial(rnn)
    first, between = rnn(x[:2], hx)
    second, *states = run(rnn, x[2:], between)
    assert_close((torch.cat([first, second]), *states), run(rnn, x, hx))


VIEWS = {
    "broadcast": lambda: sequences(batch=1).expand(-1, BATCH, -1),
    "strided": lambda: sequences(batch=2 * BATCH)[:, ::2],
    "transposed": lambda: sequences(features=STEPS).transpose(0, 2)[:, :, :FEATURES],
}


@every_cell
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_memory_layout_does_not_matter(cell: str, view: Any) -> None:
    """Views that are not contiguous give what their copies give."""
    rnn, x = build(cell, **STACKED), view()
    hx = tuple(s.expand(-1, BATCH, -1) for s in initial(rnn, batch=1))
    assert not x.is_contiguous()
    assert_close(run(rnn, x, hx, [2, 5, 3]), run(rnn, x.contiguous(), [s.contiguous() for s in hx], [2, 5, 3]))


@every_cell
def test_copies_compute_the_same(cell: str) -> None:
    """A deep copy, and a new layer that loads the state dict, have the same weights but share none."""
    rnn, loaded, x = build(cell, **STACKED), build(cell, **STACKED), sequences()
    loaded.load_state_dict(rnn.state_dict())
    copies, expected = [deepcopy(rnn), loaded], run(rnn, x)
    nn.init.zeros_(rnn.weight_ih_l0)
    for copy in copies:
        assert_close(run(copy, x), expected, rtol=0, atol=0)


@every_cell
def test_double_computes_in_double(cell: str) -> None:
    """``.double()`` moves weights and results, whose values stay those of float32 up to rounding."""
    rnn, x = settle(RNN(cell, FEATURES, HIDDEN, **STACKED)), sequences()
    single, double = run(rnn, x.float(), None, [2, 5, 3]), run(deepcopy(rnn).double(), x, None, [2, 5, 3])
    assert {t.dtype for t in double} == {torch.float64}
    assert_close(single, double, rtol=0, atol=1e-5, check_dtype=False)


@every_cell
def test_dropout_only_between_layers_and_in_training(cell: str) -> None:
    """Dropout touches neither input nor output nor a single layer, and nothing in evaluation."""
    rnn, plain = build(cell, num_layers=2, dropout=0.5).train(), build(cell, num_layers=2).train()
    single, without = build(cell, dropout=0.5).train(), build(cell).train()
    plain.load_state_dict(rnn.state_dict())
    without.load_state_dict(single.state_dict())
    x = sequences()
    (output, h, *_), (expected, their_h, *_) = run(rnn, x), run(plain, x)
    assert not torch.allclose(output, expected)
    assert_close(h[0], their_h[0])  # the first layer has read the whole input
    assert_close(output[-1], h[1])  # the last layer's output is its state
    assert_close(run(single, x), run(without, x))
    plain.load_state_dict(rnn.state_dict())  # statistics of a norm have seen what dropout left
    assert_close(run(rnn.eval(), x), run(plain.eval(), x))


@every_cell
def test_forget_bias_goes_where_the_cell_says(cell: str) -> None:
    """Biases start at zero, but for the gates that the cell names, which get the bias with their sign."""
    rnn = RNN(cell, FEATURES, HIDDEN, **STACKED, forget_bias=0.75)
    expected = [rnn.cell.forget.get(gate, 0.0) * 0.75 for gate in rnn.cell.gates for _ in range(HIDDEN)]
    assert [rnn.weights(layer, way).bias.tolist() for layer in (0, 1) for way in (0, 1)] == [expected] * 4


@pytest.mark.parametrize(
    ("cell", "biases"), [("vanilla", [0, 1, 0, 0]), ("peephole", [0, 1, 0, 0]), ("coupled", [-1, 0, 0])]
)
def test_lstms_start_by_remembering(cell: str, biases: list[float]) -> None:
    """By default the forget gate starts open: +1 on f, or -1 on i where f = 1 - i."""
    assert RNN(cell, FEATURES, 1).bias_l0.tolist() == biases


MISTAKES = {
    "features": (lambda rnn, x, h: rnn(x[:, :, :1]), "2 features per step, not 1"),
    "packed_features": (lambda rnn, x, h: rnn(packed(x[:, :, :1])), "2 features per step, not 1"),
    "dimensions": (lambda rnn, x, h: rnn(x[None]), "2 or 3 dimensions, not 4"),
    "no_steps": (lambda rnn, x, h: rnn(x[:0]), "at least one step"),
    "state_shape": (lambda rnn, x, h: rnn(x, (h, h[:, :2])), r"state c must have shape \(1, 3, 4\), not \(1, 2, 4\)"),
    "one_state": (lambda rnn, x, h: rnn(x, h), "states .*h.*c.*, not 1"),
    "three_states": (lambda rnn, x, h: rnn(x, (h, h, h)), "states .*h.*c.*, not 3"),
    "negative_length": (lambda rnn, x, h: rnn(x, lengths=[-1, 2, 5]), "from 0 to 5"),
    "length_too_long": (lambda rnn, x, h: rnn(x, lengths=[1, 2, 6]), "from 0 to 5"),
    "mask_for_lengths": (lambda rnn, x, h: rnn(x, lengths=[True, True, False]), "whole numbers"),
    "float_lengths": (lambda rnn, x, h: rnn(x, lengths=[1.0, 2.0, 5.0]), "whole numbers"),
    "number_of_lengths": (lambda rnn, x, h: rnn(x, lengths=[1, 2]), r"shape \(3,\), not \(2,\)"),
    "packed_and_lengths": (lambda rnn, x, h: rnn(packed(x), lengths=[5, 3, 1]), "leave lengths and resets out"),
    "no_layers": (lambda *_: RNN("vanilla", 2, 4, num_layers=0), "num_layers must be at least 1, not 0"),
    "dropout": (lambda *_: RNN("vanilla", 2, 4, dropout=1.0), "dropout must be in .*, not 1"),
    "negative_projection": (lambda *_: RNN("vanilla", 2, 4, proj_size=-1), "proj_size must be 0 or more"),
    "projection": (lambda *_: RNN("gru", 2, 4, proj_size=2), "proj_size cannot be used with GRU"),
    "zoneout": (lambda *_: RNN("vanilla", 2, 4, zoneout={"h": 1.0}), r"zoneout\['h'\] must be in .*, not 1"),
    "zoneout_state": (lambda *_: RNN("vanilla", 2, 4, zoneout={"m": 0.1}), r"zoneout names \['m'\]"),
    "engine": (lambda *_: RNN("vanilla", 2, 4, engine="fast"), "engine must be one of auto, .*, not 'fast'"),
    "resets": (
        lambda rnn, x, h: rnn(x, resets=torch.zeros(STEPS, BATCH)),
        r"resets must be booleans of shape \(5, 3\)",
    ),
    "from_torch": (lambda *_: RNN.from_torch(nn.RNN(2, 4)), "nn.LSTM or nn.GRU, not RNN"),
}


@pytest.mark.parametrize(("call", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(call: Any, message: str) -> None:
    """A wrong argument is a ValueError that says what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        call(RNN("vanilla", FEATURES, HIDDEN), torch.zeros(STEPS, BATCH, FEATURES), torch.zeros(1, BATCH, HIDDEN))


def packed(x: Tensor) -> PackedSequence:
    return pack_padded_sequence(x, [5, 3, 1])

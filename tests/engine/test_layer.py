"""`RNN` behaves as `nn.LSTM` does, whatever its cell, and treats every sequence as if it were alone."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from lstmlab import registry
from lstmlab.engine import RNN

STEPS, BATCH, FEATURES, HIDDEN = 5, 3, 2, 4
STACKED = {"num_layers": 2, "bidirectional": True}
every_cell = pytest.mark.parametrize("cell", list(registry.cell))
every_shape = pytest.mark.parametrize("options", [{}, STACKED], ids=["single", "stacked"])
every_packing = pytest.mark.parametrize(("lengths", "enforce_sorted"), [([5, 3, 1], True), ([3, 1, 5], False)])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(cell: str, input_size: int = FEATURES, hidden_size: int = HIDDEN, **options: Any) -> RNN:
    """Return a layer in float64 whose weights and biases are all random."""
    rnn = RNN(cell, input_size, hidden_size, **options).double()
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    return rnn


def sequences(steps: int = STEPS, batch: int = BATCH, features: int = FEATURES) -> Tensor:
    return torch.randn(steps, batch, features, dtype=torch.float64)


def initial(rnn: RNN, batch: int = BATCH) -> Any:
    """Return random initial states in the form in which a call takes them."""
    shape = (rnn.num_layers * (2 if rnn.bidirectional else 1), batch, rnn.hidden_size)
    return of_states(rnn, lambda _: torch.randn(shape, dtype=torch.float64))


def of_states(rnn: RNN, make: Any) -> Any:
    """Return ``make(index)`` for every state: a tuple, or one tensor if the cell has one state."""
    made = tuple(make(k) for k in range(len(rnn.cell.states)))
    return made if len(made) > 1 else made[0]


def listed(states: Any) -> tuple[Tensor, ...]:
    return states if isinstance(states, tuple) else (states,)


def each_alone(rnn: RNN, x: Tensor, hx: Any, lengths: list[int]) -> tuple[Tensor, Any]:
    """Run every sequence without the others and without padding; put the results side by side."""
    outputs, finals = [], []
    for b, length in enumerate(lengths):
        output = x.new_zeros(len(x), 1, rnn.hidden_size * (2 if rnn.bidirectional else 1))
        own = of_states(rnn, lambda k, b=b: listed(hx)[k][:, b : b + 1].contiguous())
        if length:
            output[:length], own = rnn(x[:length, b : b + 1], own)
        outputs.append(output)
        finals.append(listed(own))
    return torch.cat(outputs, 1), of_states(rnn, lambda k: torch.cat([f[k] for f in finals], 1))


@every_cell
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("shape", [(STEPS, BATCH, FEATURES), (STEPS, FEATURES)], ids=["batch", "unbatched"])
def test_shapes_are_those_of_lstm(
    cell: str, batch_first: bool, bidirectional: bool, num_layers: int, shape: tuple[int, ...]
) -> None:
    """Output and every state have the shapes that `nn.LSTM` with the same options returns."""
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": batch_first}
    x = torch.zeros(shape)
    output, states = RNN(cell, FEATURES, HIDDEN, **options)(x)
    expected, (h, _) = nn.LSTM(FEATURES, HIDDEN, **options)(x)
    assert output.shape == expected.shape
    assert [s.shape for s in listed(states)] == [h.shape] * len(registry.cell.get(cell).states)


@every_cell
@every_shape
@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_is_a_batch_of_one(cell: str, options: dict[str, Any], batch_first: bool) -> None:
    """A sequence without batch dimension gives what a batch of one gives, without that dimension."""
    rnn = build(cell, batch_first=batch_first, **options)
    x, hx = sequences(batch=1), initial(rnn, batch=1)
    batch = 0 if batch_first else 1
    output, states = rnn(x.transpose(0, 1) if batch_first else x, hx)
    unbatched = rnn(x.squeeze(1), of_states(rnn, lambda k: listed(hx)[k].squeeze(1)))
    assert_close(unbatched, (output.squeeze(batch), of_states(rnn, lambda k: listed(states)[k].squeeze(1))))


@every_cell
@every_shape
def test_batch_first_is_transposed(cell: str, options: dict[str, Any]) -> None:
    """``batch_first`` changes the order of input and output, not of states, and nothing else."""
    rnn, batch_first = build(cell, **options), build(cell, batch_first=True, **options)
    batch_first.load_state_dict(rnn.state_dict())
    x, hx, lengths = sequences(), initial(rnn), [2, 5, 0]
    output, states = rnn(x, hx, lengths)
    assert_close(batch_first(x.transpose(0, 1), hx, lengths), (output.transpose(0, 1), states))


@every_cell
@every_shape
@pytest.mark.parametrize("kind", [list, torch.tensor], ids=["list", "tensor"])
def test_with_lengths_each_sequence_runs_as_if_alone(cell: str, options: dict[str, Any], kind: Any) -> None:
    """Outputs and final states are those of each sequence by itself, zeros after its end."""
    rnn, x, lengths = build(cell, **options), sequences(), [2, 5, 0]
    hx = initial(rnn)
    assert_close(rnn(x, hx, kind(lengths)), each_alone(rnn, x, hx, lengths))


@every_cell
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data(), bidirectional=st.booleans(), num_layers=st.integers(1, 2))
def test_lengths_of_any_shape(cell: str, data: st.DataObject, bidirectional: bool, num_layers: int) -> None:
    """Whatever the sizes and lengths, a batch equals its sequences run alone."""
    steps, batch, features, hidden = (data.draw(st.integers(1, 5), label=k) for k in "TBIH")
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch), label="lengths")
    rnn = build(cell, features, hidden, num_layers=num_layers, bidirectional=bidirectional)
    x, hx = sequences(steps, batch, features), initial(rnn, batch)
    assert_close(rnn(x, hx, lengths), each_alone(rnn, x, hx, lengths))


@every_cell
@every_shape
def test_padding_changes_nothing(cell: str, options: dict[str, Any]) -> None:
    """What stands after a sequence's end changes nothing, not by a bit, and the output is zero there."""
    rnn, x, lengths = build(cell, **options), sequences(), [2, 5, 3]
    padding = torch.arange(STEPS)[:, None] >= torch.tensor(lengths)
    output, states = rnn(torch.where(padding[:, :, None], 1e6, x), None, lengths)
    assert_close((output, states), rnn(x, None, lengths), rtol=0, atol=0)
    assert not output[padding].any()


@every_cell
@every_shape
@every_packing
def test_packed_equals_lengths(cell: str, options: dict[str, Any], lengths: list[int], enforce_sorted: bool) -> None:
    """A packed sequence gives what its members give alone; initial and final states keep the batch's order."""
    rnn, x = build(cell, **options), sequences()
    hx = initial(rnn)
    packed, states = rnn(pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted), hx)
    output, ends = pad_packed_sequence(packed)
    assert ends.tolist() == lengths
    assert_close((output, states), each_alone(rnn, x, hx, lengths))


@every_shape
@every_packing
def test_packed_vanilla_is_packed_lstm(options: dict[str, Any], lengths: list[int], enforce_sorted: bool) -> None:
    """For vanilla the packed output is that of `nn.LSTM`: data, batch sizes and both orders."""
    lstm = nn.LSTM(FEATURES, HIDDEN, **options).double()
    rnn, packed = RNN.from_torch(lstm), pack_padded_sequence(sequences(), lengths, enforce_sorted=enforce_sorted)
    hx = initial(rnn)
    (actual, states), (expected, their_states) = rnn(packed, hx), lstm(packed, hx)
    assert isinstance(actual, PackedSequence)
    assert_close((tuple(actual), states), (tuple(expected), their_states))


@every_cell
def test_a_sequence_can_be_split(cell: str) -> None:
    """Two halves with the states carried over equal one pass."""
    rnn, x = build(cell, num_layers=2), sequences()
    hx = initial(rnn)
    first, between = rnn(x[:2], hx)
    second, states = rnn(x[2:], between)
    assert_close((torch.cat([first, second]), states), rnn(x, hx))


@every_cell
@pytest.mark.parametrize(
    "view",
    [
        lambda: sequences(batch=1).expand(-1, BATCH, -1),
        lambda: sequences(batch=2 * BATCH)[:, ::2],
        lambda: sequences(features=STEPS).transpose(0, 2)[:, :, :FEATURES],
    ],
    ids=["broadcast", "strided", "transposed"],
)
def test_memory_layout_does_not_matter(cell: str, view: Any) -> None:
    """Views that are not contiguous give what their copies give."""
    rnn, x = build(cell, **STACKED), view()
    hx = of_states(rnn, lambda _: torch.randn(1, 1, HIDDEN, dtype=torch.float64).expand(4, BATCH, -1))
    copied = of_states(rnn, lambda k: listed(hx)[k].contiguous())
    assert_close(rnn(x, hx, [2, 5, 3]), rnn(x.contiguous(), copied, [2, 5, 3]))


@every_cell
def test_copies_compute_the_same(cell: str) -> None:
    """A deep copy, and a new layer that loads the state dict, have the same weights but share none."""
    rnn, x = build(cell, **STACKED), sequences()
    loaded = build(cell, **STACKED)
    loaded.load_state_dict(rnn.state_dict())
    copies, expected = [deepcopy(rnn), loaded], rnn(x)
    nn.init.zeros_(rnn.weight_hh_l0)
    for copy in copies:
        assert_close(copy(x), expected, rtol=0, atol=0)


@every_cell
def test_double_computes_in_double(cell: str) -> None:
    """``.double()`` moves weights and results, whose values stay those of float32 up to rounding."""
    rnn, x = RNN(cell, FEATURES, HIDDEN, **STACKED), sequences()
    single, double = rnn(x.float(), None, [2, 5, 3]), deepcopy(rnn).double()(x, None, [2, 5, 3])
    assert {t.dtype for t in (double[0], *listed(double[1]))} == {torch.float64}
    assert_close(single, double, rtol=0, atol=1e-5, check_dtype=False)


@every_cell
def test_dropout_only_between_layers_and_in_training(cell: str) -> None:
    """Dropout touches neither input nor output nor a single layer, and nothing in evaluation."""
    rnn, x = build(cell, num_layers=2, dropout=0.5), sequences()
    single, plain = build(cell, dropout=0.5), build(cell, num_layers=2)
    plain.load_state_dict(rnn.state_dict())
    (output, states), (expected, their_states) = rnn(x), plain(x)
    assert not torch.allclose(output, expected)
    assert_close(listed(states)[0][0], listed(their_states)[0][0])  # the first layer has read the whole input
    assert_close(output[-1], listed(states)[0][1])  # the last layer's output is its state
    assert_close(rnn.eval()(x), plain.eval()(x))
    assert_close(single(x), single.eval()(x))


@every_cell
def test_forget_bias_goes_where_the_cell_says(cell: str) -> None:
    """Biases start at zero, but for the gates that the cell names, which get the bias with their sign."""
    rnn = RNN(cell, FEATURES, HIDDEN, **STACKED, forget_bias=0.75)
    for name, bias in rnn.named_parameters():
        if name.startswith("bias"):
            expected = [rnn.cell.forget.get(gate, 0.0) * 0.75 for gate in rnn.cell.gates]
            assert bias.tolist() == [value for value in expected for _ in range(HIDDEN)]


@pytest.mark.parametrize(
    ("cell", "biases"), [("vanilla", [0, 1, 0, 0]), ("peephole", [0, 1, 0, 0]), ("coupled", [-1, 0, 0])]
)
def test_lstms_start_by_remembering(cell: str, biases: list[float]) -> None:
    """By default the forget gate starts open: +1 on f, or -1 on i where f = 1 - i."""
    assert RNN(cell, FEATURES, 1).bias_l0.tolist() == biases


x, h = torch.zeros(STEPS, BATCH, FEATURES), torch.zeros(1, BATCH, HIDDEN)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rnn: rnn(x[:, :, :1]), "2 features per step, not 1"),
        (lambda rnn: rnn(pack_padded_sequence(x[:, :, :1], [5, 3, 1])), "2 features per step, not 1"),
        (lambda rnn: rnn(x[None]), "2 or 3 dimensions, not 4"),
        (lambda rnn: rnn(x[:0]), "at least one step"),
        (lambda rnn: rnn(x, (h, h[:, :2])), r"state c must have shape \(1, 3, 4\), not \(1, 2, 4\)"),
        (lambda rnn: rnn(x, h), "states .*h.*c.*, not 1"),
        (lambda rnn: rnn(x, (h, h, h)), "states .*h.*c.*, not 3"),
        (lambda rnn: rnn(x, lengths=[-1, 2, 5]), "from 0 to 5"),
        (lambda rnn: rnn(x, lengths=[1, 2, 6]), "from 0 to 5"),
        (lambda rnn: rnn(x, lengths=[1.0, 2.0, 5.0]), "whole numbers"),
        (lambda rnn: rnn(x, lengths=[1, 2]), r"shape \(3,\), not \(2,\)"),
        (lambda rnn: rnn(pack_padded_sequence(x, [5, 3, 1]), lengths=[5, 3, 1]), "leave lengths out"),
        (lambda _: RNN("vanilla", FEATURES, HIDDEN, num_layers=0), "num_layers must be at least 1"),
        (lambda _: RNN("vanilla", FEATURES, HIDDEN, dropout=1.0), "dropout must be in"),
        (lambda _: RNN.from_torch(nn.LSTM(FEATURES, HIDDEN, proj_size=2)), "proj_size"),
    ],
)
def test_mistakes_are_named(call: Any, message: str) -> None:
    """A wrong argument is a ValueError that says what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        call(RNN("vanilla", FEATURES, HIDDEN))

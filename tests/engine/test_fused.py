"""The kernels are right for every size, memory layout and number of threads."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_cells import Everything
from parity import (
    assert_fused_is_reference,
    every_dtype,
    every_fused,
    states_of,
    threads,
    twins,
)
from torch import Tensor

from lstmlab.engine import RNN, ccode, kernels

# Steps, batch, features, hidden, threads. Vectors hold 16 or 8 units, products take up to 12 or 8
# rows, input products up to 64 lines and backward up to 512 lines at a time.
SIZES = [
    (1, 1, 1, 1, 1),
    (4, 2, 17, 5, 2),
    (3, 3, 1, 16, 3),
    (11, 13, 40, 17, 2),
    (2, 37, 5, 40, 2),
    (3, 37, 33, 33, 3),
    (5, 70, 2, 9, 1),
    (33, 70, 3, 6, 2),
    (3, 530, 2, 40, 3),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_the_sizes_tested_go_past_every_block() -> None:
    """The largest sizes are more than one block of the forward and of the backward pass."""
    assert max(b for _, b, *_ in SIZES) > ccode.BACK_LINES
    assert max(t * b for t, b, *_ in SIZES) > 4 * ccode.BACK_LINES
    assert any(b > ccode.INPUT_LINES for _, b, *_ in SIZES)


@every_dtype
@every_fused
@pytest.mark.parametrize("size", SIZES, ids=lambda s: "x".join(map(str, s)))
def test_every_size_is_right(cell: str, dtype: torch.dtype, size: tuple[int, ...]) -> None:
    """Whatever is left over when rows, units and steps are cut into blocks and shared by threads."""
    steps, batch, features, hidden, count = size
    fast, plain = twins(cell, dtype, features, hidden)
    x = torch.randn(steps, batch, features, dtype=dtype)
    lengths = torch.randint(steps + 1, (batch,)) if batch > 1 else None
    resets = torch.rand(steps, batch) < 0.1
    with threads(count):
        assert_fused_is_reference(fast, plain, x, states_of(fast, batch), lengths, resets)


sizes = st.integers(1, 4) | st.integers(5, 40)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    data=st.data(),
    cell=st.sampled_from(["vanilla", "fgr", "gru", "slstm", "mingru", Everything]),
    shape=st.tuples(sizes, sizes, sizes, sizes),
    layout=st.sampled_from(["transposed", "strided", "one step", "one row", "one feature", "reversed"]),
    options=st.fixed_dictionaries({"bidirectional": st.booleans(), "zoneout": st.sampled_from([0.0, 0.3])}),
)
def test_any_shape_and_layout(
    data: st.DataObject, cell: Any, shape: tuple[int, ...], layout: str, options: dict[str, Any]
) -> None:
    """Drawn sizes and lengths, with an input that is not contiguous or repeats itself in memory."""
    steps, batch, features, hidden = shape
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch), label="lengths")
    fast, plain = twins(cell, torch.float64, features, hidden, **options)
    x, states = laid_out(layout, (steps, batch, features)), states_of(fast, 1)
    hx = tuple(s.expand(-1, batch, -1) for s in states)
    assert x.shape == (steps, batch, features)
    assert_fused_is_reference(fast, plain, x, hx, lengths)


def laid_out(layout: str, shape: tuple[int, ...]) -> Tensor:
    def draw(*size: int) -> Tensor:
        return torch.randn(*size, dtype=torch.float64)

    t, b, f = shape
    made = {
        "transposed": lambda: draw(f, t, b).permute(1, 2, 0),
        "strided": lambda: draw(2 * t, 3 * b, 2 * f)[::2, ::3, 1::2],
        "one step": lambda: draw(1, b, f).expand(shape),
        "one row": lambda: draw(t, 1, f).expand(shape),
        "one feature": lambda: draw(t, b, 1).expand(shape),
        "reversed": lambda: draw(t, b, f).flip(0).transpose(0, 1).contiguous().transpose(0, 1),
    }
    return made[layout]()


@every_dtype
def test_an_empty_batch_is_an_empty_result(dtype: torch.dtype) -> None:
    """As in `nn.LSTM`: shapes as ever, and zero as the gradient of weights."""
    fast, plain = twins("peephole", dtype, bidirectional=True)
    assert_fused_is_reference(fast, plain, torch.zeros(4, 0, 3, dtype=dtype), None)


@every_fused
def test_without_gradients_the_results_are_the_same_to_the_last_bit(cell: str) -> None:
    """Inference keeps two steps of the inner states only, and computes what training does."""
    fast, _ = twins(cell, torch.float32, 5, 19, bidirectional=True)
    x, hx = torch.randn(30, 13, 5), states_of(fast.float(), 13)
    resets = torch.rand(30, 13) < 0.2
    expected = fast(x, hx, list(range(18, 31)), resets)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            torch.testing.assert_close(fast(x, hx, list(range(18, 31)), resets), expected, rtol=0, atol=0)


def test_large_results_do_not_share_memory() -> None:
    """The pages of a result that somebody holds are not given to another; freed ones are used again."""
    rnn = RNN("vanilla", 1, 64)
    x = torch.randn(300, 64, 1)
    assert kernels.LARGE < 300 * 64 * 64 * 4
    with torch.no_grad():
        first = rnn(x)[0]
        copy, row, where = first.clone(), first[7, 3], first.data_ptr()
        others = [rnn(x * i)[0] for i in range(3)]
        assert torch.equal(first, copy)
        assert len({t.data_ptr() for t in (first, *others)}) == 4
        del first
        others.append(rnn(-x)[0])
        assert torch.equal(row, copy[7, 3])  # a view holds the whole
        del row
        assert rnn(x)[0].data_ptr() == where

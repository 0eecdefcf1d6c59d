"""Cells compute what torch's own layers compute: `nn.LSTM`, with and without projection, and `nn.GRU`."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstmlab.engine import RNN

STEPS, BATCH, FEATURES, HIDDEN = 6, 4, 3, 5
every_layout = [
    pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"]),
    pytest.mark.parametrize("bias", [True, False], ids=["bias", "unbiased"]),
    pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"]),
    pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"]),
    pytest.mark.parametrize("layers", [1, 2, 3]),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def layouts(test: Any) -> Any:
    for mark in every_layout:
        test = mark(test)
    return test


@layouts
@pytest.mark.parametrize("proj_size", [0, 2], ids=["plain", "projected"])
def test_vanilla_is_nn_lstm(
    layers: int, bidirectional: bool, batch_first: bool, bias: bool, dtype: torch.dtype, proj_size: int
) -> None:
    """Outputs, final states, and the gradients of input, initial states and weights are torch's."""
    lstm = nn.LSTM(FEATURES, HIDDEN, layers, bias, batch_first, 0.0, bidirectional, proj_size, dtype=dtype)
    assert_same(lstm, bias, dtype)


@layouts
def test_gru_is_nn_gru(layers: int, bidirectional: bool, batch_first: bool, bias: bool, dtype: torch.dtype) -> None:
    """The same for the GRU, whose candidate has a bias on either side of the reset gate."""
    assert_same(nn.GRU(FEATURES, HIDDEN, layers, bias, batch_first, 0.0, bidirectional, dtype=dtype), bias, dtype)


def assert_same(theirs: nn.LSTM | nn.GRU, bias: bool, dtype: torch.dtype) -> None:
    rnn, tolerance = RNN.from_torch(theirs), 1e-6 if dtype == torch.float32 else 1e-12
    count = theirs.num_layers * (2 if theirs.bidirectional else 1)
    widths = [theirs.proj_size or HIDDEN, *([HIDDEN] if isinstance(theirs, nn.LSTM) else [])]
    x = torch.randn(*((BATCH, STEPS) if theirs.batch_first else (STEPS, BATCH)), FEATURES, dtype=dtype)
    states = [torch.randn(count, BATCH, w, dtype=dtype).requires_grad_() for w in widths]
    x.requires_grad_()
    hx = tuple(states) if len(states) > 1 else states[0]
    expected, actual = flat(theirs(x, hx)), flat(rnn(x, hx))
    for a, e in zip(actual, expected, strict=True):
        assert_near(a, e, tolerance)

    cotangents = [torch.randn_like(t) for t in expected]
    parameters, named = zip(*((p, k) for k, p in rnn.named_parameters() if bias or "bias" not in k), strict=True)
    ours = torch.autograd.grad(actual, [x, *states, *parameters], cotangents)
    their_named = dict(theirs.named_parameters())
    their_gradients = torch.autograd.grad(expected, [x, *states, *their_named.values()], cotangents)
    by_name = dict(zip(their_named, their_gradients[1 + len(states) :], strict=True))
    wanted = [*their_gradients[: 1 + len(states)], *(gradient(theirs, by_name, name) for name in named)]
    for a, e in zip(ours, wanted, strict=True):
        assert_near(a, e, tolerance)


def gradient(theirs: nn.Module, by_name: dict[str, Tensor], name: str) -> Tensor:
    """Return torch's gradient for our parameter.

    Its two biases have the same gradient, which is that of their sum, our bias; but the GRU's
    candidate has a bias of its own on either side.
    """
    if "bias" not in name:
        return by_name[name]
    ih, hh = (by_name[name.replace("bias", f"bias_{side}")] for side in ("ih", "hh"))
    return torch.cat([ih, hh.chunk(3)[2]]) if isinstance(theirs, nn.GRU) else ih


def flat(result: tuple[Tensor, Any]) -> tuple[Tensor, ...]:
    output, states = result
    return output, *(states if isinstance(states, tuple) else (states,))


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare relative to the largest entry, absolutely where all entries are small."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("kind", "cell"), [(nn.LSTM, "Vanilla"), (nn.GRU, "GRU")])
def test_from_torch_keeps_dtype_mode_and_options(kind: Any, cell: str) -> None:
    """What comes out of the conversion trains or evaluates as the original did."""
    theirs = kind(FEATURES, HIDDEN, 2, batch_first=True, dropout=0.3, bidirectional=True).double().eval()
    rnn = RNN.from_torch(theirs)
    assert type(rnn.cell).__name__ == cell
    for name in ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional", "training"):
        assert getattr(rnn, name) == getattr(theirs, name)
    assert {p.dtype for p in rnn.parameters()} == {torch.float64}

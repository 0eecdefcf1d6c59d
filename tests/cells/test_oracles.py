"""Cells compute what independent implementations compute: torch's `nn.LSTM` and ONNX Runtime's LSTM."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from lstmlab.engine import RNN

STEPS, BATCH, FEATURES, HIDDEN = 6, 4, 3, 5
RUNTIME_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
RUNTIME_OUTPUTS = ("Y", "Y_h", "Y_c")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare relative to the largest entry, absolutely where all entries are small."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "unbiased"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_first", "batch_first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_vanilla_is_nn_lstm(
    layers: int, bidirectional: bool, batch_first: bool, bias: bool, dtype: torch.dtype
) -> None:
    """Outputs, final states, and the gradients of input, initial states and weights are torch's."""
    lstm = nn.LSTM(FEATURES, HIDDEN, layers, bias, batch_first, 0.0, bidirectional, dtype=dtype)
    rnn = RNN.from_torch(lstm)
    directions = 2 if bidirectional else 1
    x = torch.randn(*((BATCH, STEPS) if batch_first else (STEPS, BATCH)), FEATURES, dtype=dtype, requires_grad=True)
    h, c = torch.randn(2, layers * directions, BATCH, HIDDEN, dtype=dtype).requires_grad_().unbind(0)

    theirs, ours = flat(lstm(x, (h, c))), flat(rnn(x, (h, c)))
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for actual, expected in zip(ours, theirs, strict=True):
        assert_near(actual, expected, tolerance)

    # torch's two biases have the same gradient; ours is their sum and has that gradient too.
    pairs = {k: k.replace("bias_", "bias_ih_") for k, _ in rnn.named_parameters() if bias or "bias" not in k}
    cotangents = [torch.randn_like(t) for t in theirs]
    ours_grad = torch.autograd.grad(ours, [x, h, c, *(rnn.get_parameter(k) for k in pairs)], cotangents)
    their_grad = torch.autograd.grad(theirs, [x, h, c, *(lstm.get_parameter(k) for k in pairs.values())], cotangents)
    for actual, expected in zip(ours_grad, their_grad, strict=True):
        assert_near(actual, expected, tolerance)


def test_from_torch_keeps_dtype_mode_and_options() -> None:
    """What comes out of the conversion trains or evaluates as the original did."""
    lstm = nn.LSTM(FEATURES, HIDDEN, 2, batch_first=True, dropout=0.3, bidirectional=True).double().eval()
    rnn = RNN.from_torch(lstm)
    for name in ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional", "training"):
        assert getattr(rnn, name) == getattr(lstm, name)
    assert {p.dtype for p in rnn.parameters()} == {torch.float64}


@pytest.mark.parametrize("lengths", [[6, 6, 6, 6], [2, 6, 1, 5]], ids=["full", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"])
@pytest.mark.parametrize("cell", ["vanilla", "peephole", "coupled"])
def test_cell_is_onnx_runtimes(cell: str, bidirectional: bool, lengths: list[int]) -> None:
    """Outputs and final states are those of ONNX Runtime's CPU kernel with the same weights.

    No sequence is empty: the kernel returns zeros for the states of one, where ours keep their initial value.
    """
    rnn = RNN(cell, FEATURES, HIDDEN, bidirectional=bidirectional)
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(STEPS, BATCH, FEATURES)
    h, c = torch.randn(2, 2 if bidirectional else 1, BATCH, HIDDEN)
    with torch.no_grad():
        ours = flat(rnn(x, (h, c), lengths))
        theirs = run_onnx(rnn, x, h, c, lengths)
    for actual, expected in zip(ours, theirs, strict=True):
        assert_near(actual, expected, 1e-5)


def flat(result: tuple[Tensor, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    output, (h, c) = result
    return output, h, c


def run_onnx(rnn: RNN, x: Tensor, h: Tensor, c: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute one layer with the LSTM operator; returns output (T, B, D * H), h and c (D, B, H)."""
    coupled = "f" not in rnn.cell.gates  # ONNX Runtime then takes f = 1 - i, as `coupled` does
    feeds = {"X": x, "sequence_lens": torch.tensor(lengths, dtype=torch.int32), "initial_h": h, "initial_c": c}
    directions = [onnx_weights(rnn, d) for d in range(len(h))]
    feeds |= {k: torch.stack([w[k] for w in directions]) for k in ("W", "R", "B", "P")}
    direction = "bidirectional" if rnn.bidirectional else "forward"
    node = helper.make_node(
        "LSTM", RUNTIME_INPUTS, RUNTIME_OUTPUTS, hidden_size=HIDDEN, direction=direction, input_forget=int(coupled)
    )
    graph = helper.make_graph(
        [node],
        "lstm",
        [declare(name, feeds[name].dtype) for name in RUNTIME_INPUTS],
        [declare(name, torch.float32) for name in RUNTIME_OUTPUTS],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    y, y_h, y_c = session.run(None, {k: np.ascontiguousarray(v.numpy()) for k, v in feeds.items()})
    return torch.from_numpy(y).permute(0, 2, 1, 3).flatten(2), torch.from_numpy(y_h), torch.from_numpy(y_c)


def onnx_weights(rnn: RNN, direction: int) -> dict[str, Tensor]:
    """Return W, R, B in the operator's gate order i, o, f, c and P in its order i, o, f; zeros for what is not."""
    ih, hh, bias, vectors = rnn.weights(0, direction)
    absent = torch.zeros(HIDDEN)

    def ordered(weight: Tensor) -> Tensor:
        blocks = dict(zip(rnn.cell.gates, weight.chunk(len(rnn.cell.gates)), strict=True))
        return torch.cat([blocks.get(gate, torch.zeros_like(blocks["i"])) for gate in "iofg"])

    return {
        "W": ordered(ih),
        "R": ordered(hh),
        "B": torch.cat([ordered(bias), torch.zeros(4 * HIDDEN)]),
        "P": torch.cat([vectors.get(f"p_{gate}", absent) for gate in "iof"]),
    }


def declare(name: str, dtype: torch.dtype) -> object:
    kind = TensorProto.INT32 if dtype == torch.int32 else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, None)

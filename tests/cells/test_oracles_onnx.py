"""Cells compute what ONNX Runtime's LSTM operator computes with the same weights."""

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
ACTIVATIONS = {"niaf": ["Sigmoid", "Affine", "Tanh"], "noaf": ["Sigmoid", "Tanh", "Affine"]}
COUPLED = ("coupled", "cifg")  # f = 1 - i, which is what `input_forget` means to ONNX Runtime
OPEN = 100.0


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare relative to the largest entry, absolutely where all entries are small."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("lengths", [[6, 6, 6, 6], [2, 6, 1, 5]], ids=["full", "ragged"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"])
@pytest.mark.parametrize("cell", ["vanilla", "peephole", "coupled", "nig", "nfg", "nog", "niaf", "noaf", "np", "cifg"])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_cell_is_onnx_runtimes(cell: str, bidirectional: bool, lengths: list[int], engine: str) -> None:
    """Outputs and final states are those of ONNX Runtime's CPU kernel.

    A gate that a cell has not is there one that is always open, by a bias of `OPEN`.
    No sequence is empty: the kernel returns zeros for the states of one, where ours keep their initial value.
    """
    rnn = RNN(cell, FEATURES, HIDDEN, bidirectional=bidirectional, engine=engine)
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(STEPS, BATCH, FEATURES)
    h, c = torch.randn(2, 2 if bidirectional else 1, BATCH, HIDDEN)
    with torch.no_grad():
        ours = flat(rnn(x, (h, c), lengths))
        theirs = run_onnx(cell, rnn, x, h, c, lengths)
    for actual, expected in zip(ours, theirs, strict=True):
        assert_near(actual, expected, 1e-5)


def flat(result: tuple[Tensor, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    output, (h, c) = result
    return output, h, c


def run_onnx(cell: str, rnn: RNN, x: Tensor, h: Tensor, c: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute one layer with the LSTM operator; returns output (T, B, D * H), h and c (D, B, H)."""
    feeds = {"X": x, "sequence_lens": torch.tensor(lengths, dtype=torch.int32), "initial_h": h, "initial_c": c}
    directions = [onnx_weights(rnn, d) for d in range(len(h))]
    feeds |= {k: torch.stack([w[k] for w in directions]) for k in ("W", "R", "B", "P")}
    direction = "bidirectional" if rnn.bidirectional else "forward"
    node = helper.make_node(
        "LSTM",
        RUNTIME_INPUTS,
        RUNTIME_OUTPUTS,
        hidden_size=HIDDEN,
        direction=direction,
        input_forget=int(cell in COUPLED),
        activations=ACTIVATIONS.get(cell, ["Sigmoid", "Tanh", "Tanh"]) * len(h),
        activation_alpha=[1.0] * len(h),  # Affine is alpha x + beta, and its defaults are 0
        activation_beta=[0.0] * len(h),
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
    weights, gates = rnn.weights(0, direction), rnn.cell.gates
    absent = torch.zeros(HIDDEN)

    def ordered(weight: Tensor, missing: float = 0.0) -> Tensor:
        blocks = dict(zip(gates, weight.chunk(len(gates)), strict=True))
        return torch.cat([blocks.get(gate, torch.full_like(blocks["g"], missing)) for gate in "iofg"])

    return {
        "W": ordered(weights.ih),
        "R": ordered(weights.recurrent["h"]),
        "B": torch.cat([ordered(weights.bias, OPEN), torch.zeros(4 * HIDDEN)]),
        "P": torch.cat([weights.vectors.get(f"p_{gate}", absent) for gate in "iof"]),
    }


def declare(name: str, dtype: torch.dtype) -> object:
    kind = TensorProto.INT32 if dtype == torch.int32 else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, None)

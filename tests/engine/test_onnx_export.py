"""An exported layer gives in ONNX Runtime what it gives here, and what cannot be exported is refused."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from lstmlab import registry
from lstmlab.cells import Cell, relu, sigmoid, tanh
from lstmlab.engine import RNN
from lstmlab.engine.onnx_operator import ExportError, recognise

STEPS, BATCH, FEATURES, HIDDEN = 6, 4, 3, 5
RAGGED = [2, 6, 0, 5]


class Foreign(Cell):
    """A peephole LSTM with other names, another order, and no peephole to the forget gate."""

    gates = ("out", "keep", "new", "take")
    states = ("y", "memory")
    vectors = ("from_new", "from_old")

    def step(self, out: Any, keep: Any, new: Any, take: Any, *, memory: Any, from_new: Any, from_old: Any) -> Any:
        memory = memory * sigmoid(keep) + tanh(new) * sigmoid(from_old * memory + take)
        return {"y": tanh(memory) * sigmoid(from_new * memory + out), "memory": memory}


class Kept(Cell):
    """CIFG that stores the forget gate, i = 1 - f, with peepholes and without tanh around the state."""

    gates = ("f", "g", "o")
    vectors = ("p_f", "p_o")

    def step(self, f: Any, g: Any, o: Any, *, c: Any, p_f: Any, p_o: Any) -> Any:
        f = sigmoid(f + p_f * c)
        c = f * c + (1 - f) * tanh(g)
        return {"h": sigmoid(o + p_o * c) * c, "c": c}


class Rectified(Cell):
    """LSTM with relu for candidate and output, whose output gate does not see the input."""

    gates = ("i", "f", "g", "o")
    inputs = ("i", "f", "g")
    recurrent = {"h": ("g", "o")}

    def step(self, i: Any, f: Any, g: Any, o: Any, *, c: Any) -> Any:
        c = sigmoid(f) * c + sigmoid(i) * relu(g)
        return {"h": sigmoid(o) * relu(c), "c": c}


class Linear(Cell):
    """LSTM whose candidate goes through nothing (NIAF), which starts from a state that is not zero."""

    gates = ("i", "f", "g", "o")
    initial = {"c": 0.5}

    def step(self, i: Any, f: Any, g: Any, o: Any, *, c: Any) -> Any:
        c = sigmoid(f) * c + sigmoid(i) * g
        return {"h": sigmoid(o) * tanh(c), "c": c}


class Updating(Cell):
    """GRU as `nn.GRU` has it."""

    gates = ("r", "z", "n", "m")
    states = ("h",)
    inputs = ("r", "z", "n")
    recurrent = {"h": ("r", "z", "m")}

    def step(self, r: Any, z: Any, n: Any, m: Any, *, h: Any) -> Any:
        z = sigmoid(z)
        return {"h": (1 - z) * tanh(n + sigmoid(r) * m) + z * h}


class Flipped(Updating):
    """GRU whose update gate says how much is new, as in Chung et al. (2014)."""

    def step(self, r: Any, z: Any, n: Any, m: Any, *, h: Any) -> Any:
        return {"h": h + sigmoid(z) * (tanh(n + sigmoid(r) * m) - h)}


OWN = [Foreign, Kept, Rectified, Linear, Updating, Flipped]


def exportable() -> list[str]:
    found = []
    for cell in registry.cell:
        try:
            recognise(registry.cell.get(cell))
        except ExportError:
            continue
        found.append(cell)
    return found


def name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


every_cell = pytest.mark.parametrize("cell", [*exportable(), *OWN], ids=name)


def build(cell: Any, **options: Any) -> RNN:
    torch.manual_seed(0)
    rnn = RNN(cell, FEATURES, HIDDEN, **options)
    for parameter in rnn.parameters():
        nn.init.normal_(parameter)
    return rnn.eval()


def session(rnn: RNN, folder: Path) -> onnxruntime.InferenceSession:
    rnn.to_onnx(folder / "layer.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns of every input that may be left out
    return onnxruntime.InferenceSession(folder / "layer.onnx", options, providers=["CPUExecutionProvider"])


def assert_same(
    rnn: RNN, folder: Path, x: Tensor, hx: tuple[Tensor, ...] = (), lengths: list[int] | None = None
) -> None:
    """Compare output and final states of the file with those of the layer."""
    feeds = {"input": x} | {f"initial_{k}": s for k, s in zip(rnn.cell.states, hx, strict=bool(hx))}
    if lengths is not None:
        feeds["lengths"] = torch.tensor(lengths, dtype=torch.int32)
    names = ["output", *(f"final_{k}" for k in rnn.cell.states)]
    theirs = session(rnn, folder).run(names, {k: np.ascontiguousarray(v.numpy()) for k, v in feeds.items()})
    with torch.no_grad():
        output, states = rnn(x, (hx if len(hx) > 1 else hx[0]) if hx else None, lengths)
    for ours, other in zip([output, *(states if isinstance(states, tuple) else [states])], theirs, strict=True):
        atol = 1e-5 * max(1.0, ours.abs().max().item())
        torch.testing.assert_close(torch.from_numpy(other), ours, rtol=0, atol=atol)


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_file_computes_what_the_layer_does(cell: Any, num_layers: int, bidirectional: bool, tmp_path: Path) -> None:
    """With initial states and lengths, an empty sequence among them."""
    rnn = build(cell, num_layers=num_layers, bidirectional=bidirectional)
    hx = tuple(torch.randn(len(rnn.cell.states), num_layers * (1 + bidirectional), BATCH, HIDDEN))
    assert_same(rnn, tmp_path, torch.randn(STEPS, BATCH, FEATURES), hx, RAGGED)


@every_cell
def test_lengths_and_states_may_be_left_out(cell: Any, tmp_path: Path) -> None:
    """Sequences are then full and start from what the layer starts from."""
    assert_same(build(cell, num_layers=2), tmp_path, torch.randn(STEPS, BATCH, FEATURES))


@pytest.mark.parametrize("cell", ["peephole", Updating], ids=name)
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (9, 2)])
def test_batch_first_and_any_number_of_steps_and_sequences(cell: Any, steps: int, batch: int, tmp_path: Path) -> None:
    rnn = build(cell, batch_first=True, bidirectional=True, num_layers=2)
    lengths = [steps] + [1] * (batch - 1)
    assert_same(rnn, tmp_path, torch.randn(batch, steps, FEATURES), lengths=lengths)


def test_learnt_initial_states_are_the_defaults(tmp_path: Path) -> None:
    rnn = build("peephole", learn_initial=True, num_layers=2, bidirectional=True)
    assert_same(rnn, tmp_path, torch.randn(STEPS, BATCH, FEATURES), lengths=RAGGED)


def test_what_follows_an_end_does_not_matter(tmp_path: Path) -> None:
    rnn, x = build("peephole", num_layers=2, bidirectional=True), torch.randn(STEPS, BATCH, FEATURES)
    x[torch.arange(STEPS)[:, None] >= torch.tensor(RAGGED)] = 1e6
    assert_same(rnn, tmp_path, x, lengths=RAGGED)


def test_options_of_training_change_nothing(tmp_path: Path) -> None:
    options = {"dropout": 0.5, "variational": True, "recurrent_dropout": 0.5, "weight_drop": 0.5}
    rnn, x = build("vanilla", num_layers=2, **options), torch.randn(STEPS, BATCH, FEATURES)
    assert_same(rnn, tmp_path, x)
    before = (tmp_path / "layer.onnx").read_bytes()
    rnn.train().to_onnx(tmp_path / "layer.onnx")
    assert (tmp_path / "layer.onnx").read_bytes() == before


def test_double_is_written_as_single(tmp_path: Path) -> None:
    build("vanilla").double().to_onnx(tmp_path / "layer.onnx")
    kinds = {t.data_type for t in onnx.load(tmp_path / "layer.onnx").graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64}


@pytest.mark.parametrize(
    ("cell", "op", "attributes"),
    [
        ("vanilla", "LSTM", {"input_forget": 0, "activations": [b"Sigmoid", b"Tanh", b"Tanh"]}),
        ("coupled", "LSTM", {"input_forget": 1}),
        (Kept, "LSTM", {"input_forget": 1, "activations": [b"Sigmoid", b"Tanh", b"Affine"], "activation_alpha": [1.0]}),
        (Linear, "LSTM", {"activations": [b"Sigmoid", b"Affine", b"Tanh"], "activation_beta": [0.0]}),
        (Rectified, "LSTM", {"activations": [b"Sigmoid", b"Relu", b"Relu"]}),
        (Updating, "GRU", {"linear_before_reset": 1}),
    ],
    ids=name,
)
def test_each_layer_is_one_standard_operator(cell: Any, op: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    build(cell, num_layers=2).to_onnx(tmp_path / "layer.onnx")
    model = onnx.load(tmp_path / "layer.onnx")
    assert {n.domain for n in model.graph.node} == {""}
    nodes = [n for n in model.graph.node if n.op_type in ("LSTM", "GRU", "Loop", "Scan", "RNN")]
    assert [n.op_type for n in nodes] == [op, op]
    for node in nodes:
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert {k: found[k] for k in attributes} == attributes


def test_the_registered_cells_that_are_operators_are_found() -> None:
    promised = {"vanilla", "peephole", "coupled", "np", "cifg", "niaf", "noaf", "gru"}
    assert promised & {*registry.cell} <= {*exportable()}


class Unusual(Cell):
    """An LSTM but for its input gate, which is not clamped to [0, 1]."""

    gates = ("i", "f", "g", "o")

    def step(self, i: Any, f: Any, g: Any, o: Any, *, c: Any) -> Any:
        c = sigmoid(f) * c + (1 + tanh(i)) * tanh(g)
        return {"h": sigmoid(o) * tanh(c), "c": c}


class Remembering(Cell):
    """An LSTM whose output gate looks back, at the old state."""

    gates = ("i", "f", "g", "o")
    vectors = ("p",)

    def step(self, i: Any, f: Any, g: Any, o: Any, *, c: Any, p: Any) -> Any:
        o = sigmoid(o + p * c)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return {"h": o * tanh(c), "c": c}


class Feeding(Cell):
    """An LSTM whose gates are fed by the cell state as well."""

    gates = ("i", "f", "g", "o")
    recurrent = {"h": ("i", "f", "g", "o"), "c": ("i",)}
    step = Linear.step


class Normalised(Cell):
    """An LSTM with layer normalisation of the products."""

    gates = ("i", "f", "g", "o")
    norm = "layer"
    step = Linear.step


@pytest.mark.parametrize(
    ("cell", "options", "said"),
    [
        (Unusual, {}, "Unusual is none of the standard ONNX operators. ONNX has two operators. LSTM: "),
        (Remembering, {}, "Remembering is none"),
        (Feeding, {}, "Feeding is none"),
        (Normalised, {}, "Normalised is none"),
        ("vanilla", {"proj_size": 2}, "no proj_size"),
        ("vanilla", {"zoneout": {"c": 0.5}}, r"zoneout=\{'c': 0.5\} cannot be exported"),
    ],
    ids=name,
)
def test_what_the_operators_cannot_do_is_refused(cell: Any, options: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        build(cell, **options).to_onnx(tmp_path / "layer.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere/layer\.onnx cannot be written: No such file or directory"):
        build("vanilla").to_onnx(tmp_path / "nowhere" / "layer.onnx")


def test_without_onnx_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"pip install 'lstmlab\[onnx\]'"):
        build("vanilla").to_onnx(tmp_path / "layer.onnx")


def test_almost_an_operator_is_none() -> None:
    """A difference that shows only far from zero is seen too."""

    class Clipped(Linear):
        def step(self, i: Any, f: Any, g: Any, o: Any, *, c: Any) -> Any:
            c = sigmoid(f) * c + sigmoid(i) * (20 - relu(20 - g))
            return {"h": sigmoid(o) * tanh(c), "c": c}

    assert recognise(Linear).activations == ("Affine", "Tanh")
    with pytest.raises(ExportError):
        recognise(Clipped)
    assert math.isclose(float(Clipped().step(*torch.zeros(4), c=torch.ones(()))["c"]), 0.5)

"""A layer as an ONNX file made of the standard LSTM and GRU operators, one for each layer of the stack.

torch's own exporter can write neither peepholes nor coupled gates this way; every runtime that
knows the standard operators runs the file with its own fast kernels, without Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lstmlab.engine.onnx_operator import ExportError, Operator, recognise

if TYPE_CHECKING:
    from lstmlab.engine.layer import RNN

OPSET, IR_VERSION = 17, 8  # of 2022: old enough for most runtimes
LONGEST = np.iinfo(np.int32).max  # the default of lengths: cut down to the steps that there are


@torch.no_grad()
def write(rnn: RNN, path: str | Path) -> None:
    """Write ``rnn`` to an ONNX file, as it computes in evaluation, in float32.

    The file has the inputs ``input``, (T, B, I), or (B, T, I) with batch_first, and, each of them
    optional, ``lengths``, (B,) int32, the steps that belong to each sequence, and
    ``initial_STATE``, (layers * directions, B, H). Without them every sequence is full and starts
    from what the layer itself starts from, learnt initial states included. Its outputs are
    ``output`` and ``final_STATE``, as the layer returns them. T and B are free.

    Raises:
        ExportError: when the package onnx is missing, when the operators cannot express the cell
            or an option of the layer, or when the file cannot be written.
    """
    try:
        import onnx
    except ImportError:
        raise ExportError("to_onnx needs the package onnx: pip install 'lstmlab[onnx]'") from None
    model = _model(rnn, _operator(rnn), _Nodes(onnx))
    onnx.checker.check_model(model, full_check=True)
    try:
        onnx.save(model, str(path))
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from None


def _operator(rnn: RNN) -> Operator:
    """Return the operator of the layer's cell, after refusing options that evaluation needs and it has not."""
    zoneout = {k: p for k, p in rnn.zoneout.items() if p}
    for name, value in (("proj_size", rnn.proj_size), ("zoneout", zoneout)):
        if value:
            raise ExportError(f"A layer with {name}={value} cannot be exported: the ONNX operators have no {name}.")
    return recognise(type(rnn.cell))


class _Nodes:
    """Operations and constants of a file while it is put together; values are known by name."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def apply(self, op: str, *inputs: str, out: Sequence[str] = (), **options: Any) -> str:
        """Add an operation and return the name of its first output."""
        names = list(out) or [f"{op.lower()}_{len(self.nodes)}"]
        self.nodes.append(self.onnx.helper.make_node(op, inputs, names, name=names[0], **options))
        return names[0]

    def constant(self, value: Any, name: str = "") -> str:
        """Add a constant, whole numbers as int64, tensors as float32, and return its name."""
        array = value.float().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def declare(self, shapes: dict[str, list[int | str]]) -> list[Any]:
        """Return the declarations of inputs or outputs; lengths are whole numbers."""
        kinds = self.onnx.TensorProto
        make = self.onnx.helper.make_tensor_value_info
        return [make(name, kinds.INT32 if name == "lengths" else kinds.FLOAT, shape) for name, shape in shapes.items()]


def _model(rnn: RNN, operator: Operator, add: _Nodes) -> Any:
    states, count, hidden = rnn.cell.states, rnn.num_layers * len(rnn.suffixes), rnn.hidden_size
    x = add.apply("Transpose", "input", perm=[1, 0, 2]) if rnn.batch_first else "input"
    steps, batch = (add.apply("Shape", x, start=axis, end=axis + 1) for axis in (0, 1))
    add.constant(np.array([LONGEST], np.int32), "lengths")
    until = add.apply("Min", "lengths", add.apply("Cast", steps, to=add.onnx.TensorProto.INT32))
    lengths = add.apply("Expand", until, batch)
    shape = add.apply("Concat", add.constant([count]), batch, add.constant([hidden]), axis=0)
    defaults = rnn._starts(rnn.weights().ih.new_empty(1, 1, rnn.input_size))  # for a batch of one: (count, 1, H)
    starts = [
        add.apply("Expand", add.constant(default, f"initial_{state}"), shape)
        for state, default in zip(states, defaults, strict=True)
    ]
    finals: list[list[str]] = [[] for _ in states]
    for layer in range(rnn.num_layers):
        x, ends = _layer(rnn, operator, add, layer, x, lengths, starts)
        for known, end in zip(finals, ends, strict=True):
            known.append(end)
    add.apply("Transpose", x, out=["output"], perm=[1, 0, 2] if rnn.batch_first else [0, 1, 2])
    empty = add.apply("Equal", lengths, add.constant(np.array([0], np.int32)))
    empty = add.apply("Unsqueeze", empty, add.constant([1]))
    for state, start, ends in zip(states, starts, finals, strict=True):
        final = add.apply("Concat", *ends, axis=0)
        add.apply("Where", empty, start, final, out=[f"final_{state}"])  # runtimes put zeros there
    return _assemble(rnn, add)


def _assemble(rnn: RNN, add: _Nodes) -> Any:
    """Return the file of all nodes and constants, with its inputs and outputs declared."""
    states, count, hidden = rnn.cell.states, rnn.num_layers * len(rnn.suffixes), rnn.hidden_size
    axes: list[int | str] = ["batch", "time"] if rnn.batch_first else ["time", "batch"]
    inputs: dict[str, list[int | str]] = {"input": [*axes, rnn.input_size], "lengths": ["batch_or_1"]}
    inputs |= {f"initial_{s}": [count, "batch_or_1", hidden] for s in states}
    outputs: dict[str, list[int | str]] = {"output": [*axes, len(rnn.suffixes) * hidden]} | {
        f"final_{s}": [count, "batch", hidden] for s in states
    }
    make = add.onnx.helper
    graph = make.make_graph(add.nodes, "lstmlab", add.declare(inputs), add.declare(outputs), add.constants)
    opsets = [make.make_opsetid("", OPSET)]
    return make.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lstmlab")


def _layer(
    rnn: RNN, operator: Operator, add: _Nodes, layer: int, x: str, lengths: str, starts: list[str]
) -> tuple[str, list[str]]:
    """Add one layer; return its output (time, batch, directions * hidden) and its final states."""
    form, directions = operator.form, len(rnn.suffixes)
    first, last = add.constant([layer * directions]), add.constant([(layer + 1) * directions])
    own = [add.apply("Slice", start, first, last) for start in starts]
    packed = [_pack(rnn, operator, layer, direction) for direction in range(directions)]
    w, r, b, *p = (add.constant(torch.stack(parts)) for parts in zip(*packed, strict=True))
    options: dict[str, Any] = {"activations": ["Sigmoid", *operator.activations] * directions}
    affine = options["activations"].count("Affine")
    if affine:
        options |= {"activation_alpha": [1.0] * affine, "activation_beta": [0.0] * affine}
    options |= {"linear_before_reset": 1} if form.op == "GRU" else {"input_forget": int(form.coupled)}
    ends = [f"final_{state}_l{layer}" for state in rnn.cell.states]
    y = add.apply(
        form.op,
        *(x, w, r, b, lengths, *own, *p),
        out=[f"output_l{layer}", *ends],
        direction="bidirectional" if rnn.bidirectional else "forward",
        hidden_size=rnn.hidden_size,
        **options,
    )
    side_by_side = add.apply("Transpose", y, perm=[0, 2, 1, 3])
    return add.apply("Reshape", side_by_side, add.constant([0, 0, -1])), ends


def _pack(rnn: RNN, operator: Operator, layer: int, direction: int) -> list[Tensor]:
    """Return W, R, B and, for an LSTM, P of one direction, as the operator stores them."""
    cell, form, weights = rnn.cell, operator.form, rnn.weights(layer, direction)
    fed = cell.recurrent.get(cell.states[0], ())

    def blocks(matrix: Tensor | None, names: Sequence[str]) -> dict[str, Tensor]:
        return dict(zip(names, matrix.chunk(len(names)), strict=True)) if matrix is not None else {}

    def ordered(roles: Sequence[str], known: dict[str, Tensor], *shape: int) -> Tensor:
        """Return the blocks in the operator's order, with zeros for what the cell has not."""
        zero = weights.bias.new_zeros(rnn.hidden_size, *shape)
        found = [known.get(operator.roles.get(role, ""), zero) for role in roles]
        return torch.cat([-f if role in form.negated else f for role, f in zip(roles, found, strict=True)])

    bias = blocks(weights.bias, cell.gates)
    again = [role if role not in form.inputs else "" for role in form.recurrent]  # all biases but what R alone has
    packed = [
        ordered(form.inputs, blocks(weights.ih, cell.inputs), rnn.layer_input(layer)),
        ordered(form.recurrent, blocks(weights.recurrent.get(cell.states[0]), fed), rnn.hidden_size),
        torch.cat([ordered(form.inputs, bias), ordered(again, bias)]),
    ]
    return [*packed, ordered(form.vectors, weights.vectors)] if form.vectors else packed

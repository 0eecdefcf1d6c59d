"""The fused recurrence on the CPU: one opaque operator around a cell's compiled kernel.

Forward keeps one value per gate and unit and the states; backward walks back through them and
adds up the gradients of the weights, a few steps at a time, inside the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.engine import kernels, reference
from lstmlab.engine.recurrence import Recurrence, Result, Weights
from lstmlab.memo import constant

OPTIONS = ("lengths", "resets", "drop", "zones", "zone")  # tensors that may be left out, and need no gradient
DIFFERENTIABLE = ("x", "weight_ih", "weight_hh", "bias", "vectors", "initial", "starts")
ROUNDED = {torch.bfloat16: "bfloat16", torch.float16: "float16"}
_cells: dict[str, type[Cell]] = {}  # an operator takes no classes: it knows a cell by its key


def recur(r: Recurrence) -> Result:
    """Compute ``r``; the cell has a kernel, and everything is on the device that it is for."""
    cell, w = type(r.cell), r.weights
    dtype, hidden = w.bias.dtype, w.bias.shape[0] // len(cell.gates)
    tensors = (
        r.x.to(dtype),
        w.ih,
        _matrix(cell, w, hidden),
        w.bias,
        torch.stack([w.vectors[v] for v in cell.vectors]) if cell.vectors else w.bias.new_empty(0, hidden),
        torch.stack([s.to(dtype) for s in r.states]),
        torch.stack([s.to(dtype) for s in r.starts]),
    )
    resets = None if r.resets is None else r.resets.to(torch.uint8)
    drop = None if r.drop is None else r.drop.to(dtype)
    options = [r.lengths, resets, drop, *_zones(r, cell, dtype)]
    rounded = _rounding(r.x.device.type) if dtype == torch.float32 else ""
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    output, finals, _, _ = _forward(*tensors, options, _key(cell), r.reverse, rounded, keep)
    mask = r.mask
    return output if mask is None else output * mask, finals.unbind(0)


def _rounding(device: str) -> str:
    """Return the type in which autocast lets products be computed, "" for that of the weights."""
    if not torch.is_autocast_enabled(device):
        return ""
    rounded = ROUNDED.get(torch.get_autocast_dtype(device), "")
    return "" if device == "cpu" and rounded == "float16" else rounded


@constant
def _key(cell: type[Cell]) -> str:
    key = f"{cell.__qualname__}@{id(cell):x}"
    _cells[key] = cell
    return key


def cell_of(key: str) -> type[Cell]:
    """Return the cell that the operators know by ``key``."""
    return _cells[key]


def fed_gates(cell: type[Cell]) -> tuple[str, ...]:
    """Return the gates that see a previous state, in the cell's order."""
    return tuple(g for g in cell.gates if any(g in gates for gates in cell.recurrent.values()))


def _matrix(cell: type[Cell], weights: Weights, hidden: int) -> Tensor:
    """Return all recurrent weights as one matrix (gates that are fed, states that feed), zero where none."""
    fed = fed_gates(cell)
    columns = []
    for state, gates in cell.recurrent.items():
        matrix = weights.recurrent[state]
        if tuple(gates) != fed:
            blocks = dict(zip(gates, matrix.chunk(len(gates)), strict=True))
            matrix = torch.cat([blocks.get(g, matrix.new_zeros(hidden, hidden)) for g in fed])
        columns.append(matrix)
    if not columns:
        return weights.bias.new_empty(0, 0)
    return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


def _zones(r: Recurrence, cell: type[Cell], dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
    """Return zoneout as a mask for each state, step and unit, or as one share per state."""
    if not r.zones:
        return None, None
    given = [r.zones.get(s, 0.0) for s in cell.states]
    masks = [z for z in given if isinstance(z, Tensor)]
    if not masks:
        return None, r.x.new_tensor(given, dtype=dtype)
    return torch.stack([z if isinstance(z, Tensor) else torch.full_like(masks[0], z) for z in given]).to(dtype), None


def _call(
    name: str, cell: str, numbers: Sequence[int], given: dict[str, Tensor | None], made: dict[str, Tensor]
) -> None:
    """Call the kernel; ``numbers`` are steps, batch, features, hidden, reverse, keep and whether to round."""
    if not numbers[1]:
        return  # an empty batch: all that is made is empty, or zero already
    library = kernels.load(_cells[cell], made["output" if name == "forward" else "grad_ih"].dtype, bool(numbers[6]))
    named = dict(zip(("steps", "batch", "features", "hidden", "reverse", "keep"), numbers, strict=False))
    contiguous = {k: None if t is None else t.contiguous() for k, t in given.items()}
    kernels.call(library, name, named, {**contiguous, **made})


@torch.library.custom_op("lstmlab::recurrence", mutates_args=())
def _forward(
    x: Tensor,
    ih: Tensor,
    hh: Tensor,
    bias: Tensor,
    vectors: Tensor,
    states: Tensor,
    starts: Tensor,
    options: Sequence[Tensor | None],
    cell: str,
    reverse: bool,
    rounded: str,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return output, finals, and what backward needs: the other states and a value per gate."""
    (steps, batch, features), (count, _, hidden) = x.shape, states.shape
    made = {
        "output": kernels.empty(steps, batch, hidden, dtype=x.dtype),
        "finals": torch.empty_like(states, memory_format=torch.contiguous_format),
        "others": kernels.empty(count - 1, steps if keep else 2, batch, hidden, dtype=x.dtype),
        "kept": kernels.empty(steps, batch, bias.shape[0] if keep else 0, dtype=x.dtype),
    }
    given = dict(zip(DIFFERENTIABLE + OPTIONS, (x, ih, hh, bias, vectors, states, starts, *options), strict=True))
    _call("forward", cell, (steps, batch, features, hidden, reverse, keep, bool(rounded)), given, made)
    if not keep:
        made["others"] = x.new_empty(0)
    return made["output"], made["finals"], made["others"], made["kept"]


@_forward.register_fake
def _forward_shapes(
    x: Tensor, ih: Tensor, hh: Tensor, bias: Tensor, vectors: Tensor, states: Tensor, starts: Tensor,
    options: Sequence[Tensor | None], cell: str, reverse: bool, rounded: str, keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    (steps, batch, _), (count, _, hidden) = x.shape, states.shape
    others = x.new_empty(count - 1, steps, batch, hidden) if keep else x.new_empty(0)
    kept = x.new_empty(steps, batch, bias.shape[0] if keep else 0)
    return x.new_empty(steps, batch, hidden), states.new_empty(states.shape), others, kept


@torch.library.custom_op("lstmlab::recurrence_backward", mutates_args=())
def _backward(
    tensors: Sequence[Tensor],
    options: Sequence[Tensor | None],
    found: Sequence[Tensor],
    gradients: Sequence[Tensor],
    cell: str,
    reverse: bool,
    rounded: str,
    of_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x (empty unless ``of_x``), ih, hh, biases with vectors, states and starts."""
    x, ih, hh, bias, vectors, states, _ = tensors
    (steps, batch, features), hidden = x.shape, states.shape[2]
    gates = bias.shape[0] // hidden
    made = {
        "grad_x": kernels.empty(*x.shape, dtype=x.dtype) if of_x else x.new_empty(0),
        "grad_ih": ih.new_zeros(ih.shape),
        "grad_hh": hh.new_zeros(hh.shape),
        "grad_units": x.new_zeros(torch.get_num_threads(), gates + vectors.shape[0], hidden),
        "grad_initial": states.new_empty(states.shape),
        "grad_starts": states.new_zeros(states.shape),
    }
    names = (*DIFFERENTIABLE, *OPTIONS, "output", "others", "kept", "grad_output", "grad_finals")
    given = dict(zip(names, (*tensors, *options, *found, *gradients), strict=True))
    filled = {k: t for k, t in made.items() if of_x or k != "grad_x"}
    _call("backward", cell, (steps, batch, features, hidden, reverse, True, bool(rounded)), given, filled)
    units = made["grad_units"].sum(0)
    return made["grad_x"], made["grad_ih"], made["grad_hh"], units, made["grad_initial"], made["grad_starts"]


@_backward.register_fake
def _backward_shapes(
    tensors: Sequence[Tensor], options: Sequence[Tensor | None], found: Sequence[Tensor], gradients: Sequence[Tensor],
    cell: str, reverse: bool, rounded: str, of_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    x, ih, hh, bias, vectors, states, _ = (t.new_empty(t.shape) for t in tensors)
    units = x.new_empty(bias.shape[0] // states.shape[2] + vectors.shape[0], states.shape[2])
    return x if of_x else x.new_empty(0), ih, hh, units, states, states.new_empty(states.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, options, cell, reverse, rounded, _ = inputs
    out, _, others, kept = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *options, out, others, kept)
    ctx.cell, ctx.reverse, ctx.rounded = cell, reverse, rounded


def _differentiate(ctx: Any, grad_output: Tensor | None, grad_finals: Tensor | None, *_: Any) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    tensors, options, found = list(saved[:7]), list(saved[7:12]), list(saved[12:])
    output, states = found[0], tensors[5]
    gradients = [
        output.new_zeros(output.shape) if grad_output is None else grad_output,
        states.new_zeros(states.shape) if grad_finals is None else grad_finals,
    ]
    if torch.is_grad_enabled():
        return (*_differentiable(ctx, tensors, options, gradients), None, None, None, None, None)
    of_x = ctx.needs_input_grad[0]
    grad_x, ih, hh, units, initial, starts = _backward(
        tensors, options, found, gradients, ctx.cell, ctx.reverse, ctx.rounded, of_x
    )
    gates = tensors[3].shape[0] // states.shape[2]
    own = (grad_x if of_x else None, ih, hh, units[:gates].flatten(), units[gates:], initial, starts)
    return (*own, None, None, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_setup_context)


def register(device: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Let these functions do what the two operators do, for tensors on ``device``."""
    _forward.register_kernel(device)(forward)
    _backward.register_kernel(device)(backward)


def _differentiable(
    ctx: Any, tensors: list[Tensor], options: list[Tensor | None], gradients: list[Tensor]
) -> list[Tensor | None]:
    """Return the first derivatives as something that can be differentiated again: by the reference."""
    leaves = [t.view_as(t) for t in tensors]
    x, ih, hh, bias, vectors, states, starts = leaves
    lengths, resets, drop, zones, zone = options
    cell, hidden = _cells[ctx.cell], states.shape[2]
    fed = fed_gates(cell)
    recurrent = {}
    for i, (state, gates) in enumerate(cell.recurrent.items()):
        rows = [hh[fed.index(g) * hidden : (fed.index(g) + 1) * hidden] for g in gates]
        recurrent[state] = torch.cat(rows)[:, i * hidden : (i + 1) * hidden]
    weights = Weights(ih, recurrent, bias, dict(zip(cell.vectors, vectors, strict=True)))
    shares = zone if zone is not None else zones
    r = Recurrence(
        cell(),
        x,
        weights,
        tuple(states),
        tuple(starts),
        lengths,
        None if resets is None else resets != 0,
        drop,
        {} if shares is None else {k: s if s.dim() else s.item() for k, s in zip(cell.states, shares, strict=True)},
        ctx.reverse,
    )
    rounding = next((t for t, name in ROUNDED.items() if name == ctx.rounded), None)
    with torch.enable_grad(), torch.autocast(x.device.type, rounding, enabled=bool(ctx.rounded)):
        output, finals = reference.recur(r)  # `recur` above gives no gradient to what it masks
        wanted = [t for t, needed in zip(leaves, ctx.needs_input_grad, strict=False) if needed]
        made = torch.autograd.grad(
            [output, torch.stack(finals)], wanted, gradients, create_graph=True, allow_unused=True
        )
    left = iter(made)
    return [next(left) if needed else None for needed in ctx.needs_input_grad[:7]]

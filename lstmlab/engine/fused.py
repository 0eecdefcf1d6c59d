"""The fused recurrence on the CPU: one opaque operator around a cell's compiled kernel.

Forward keeps one value per gate and unit and the states; backward walks back through them in the
kernel, and what remains, the gradients of weights and input, are large products over all steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.engine import kernels
from lstmlab.engine.recurrence import Recurrence, Result, Weights

_cells: dict[str, type[Cell]] = {}  # an operator takes no classes: it knows a cell by its key


@torch.compiler.assume_constant_result
def _key(cell: type[Cell]) -> str:
    key = f"{cell.__qualname__}@{id(cell):x}"
    _cells[key] = cell
    return key


def recur(r: Recurrence) -> Result:
    """Compute ``r``; the cell has a kernel, and everything is on the CPU and of one type."""
    cell, w = type(r.cell), r.weights
    key = _key(cell)
    hidden = w.bias.shape[0] // len(cell.gates)
    rounded = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    dtype = w.bias.dtype
    zone, zones = _zones(r, cell, dtype)
    tensors = [
        r.x.to(dtype),
        w.ih,
        _matrix(cell, w, hidden),
        w.bias,
        torch.stack([w.vectors[v] for v in cell.vectors]) if cell.vectors else w.bias.new_empty(0, hidden),
        torch.stack([s.to(dtype) for s in r.states]),
        torch.stack([s.to(dtype) for s in r.starts]),
    ]
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    resets = None if r.resets is None else r.resets.to(torch.uint8)
    with torch.autocast("cpu", enabled=False):
        output, finals, _, _ = _forward(*tensors, r.lengths, resets, r.drop, zones, zone, key, r.reverse, rounded, keep)
    mask = r.mask
    return output if mask is None else output * mask, finals.unbind(0)


def _matrix(cell: type[Cell], weights: Weights, hidden: int) -> Tensor:
    """Return all recurrent weights as one matrix (gates that are fed, states that feed), zero where none."""
    fed = fed_gates(cell)
    columns = []
    for state, gates in cell.recurrent.items():
        blocks = dict(zip(gates, weights.recurrent[state].chunk(len(gates)), strict=True))
        if tuple(gates) == fed:
            columns.append(weights.recurrent[state])
        else:
            columns.append(torch.cat([blocks.get(g, weights.bias.new_zeros(hidden, hidden)) for g in fed]))
    if not columns:
        return weights.bias.new_empty(0, 0)
    return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


def fed_gates(cell: type[Cell]) -> tuple[str, ...]:
    """Return the gates that see a previous state, in the cell's order."""
    return tuple(g for g in cell.gates if any(g in gates for gates in cell.recurrent.values()))


def _zones(r: Recurrence, cell: type[Cell], dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
    """Return zoneout as one share per state, or as a mask for each state, step and unit."""
    if not r.zones:
        return None, None
    given = [r.zones.get(s, 0.0) for s in cell.states]
    if not any(isinstance(z, Tensor) for z in given):
        return torch.tensor(given, dtype=dtype), None
    shape = next(z.shape for z in given if isinstance(z, Tensor))
    full = [z if isinstance(z, Tensor) else torch.full(shape, z, dtype=dtype) for z in given]
    return None, torch.stack(full).to(dtype)


@torch.library.custom_op("lstmlab::recurrence", mutates_args=())
def _forward(
    x: Tensor,
    ih: Tensor,
    hh: Tensor,
    bias: Tensor,
    vectors: Tensor,
    states: Tensor,
    starts: Tensor,
    lengths: Tensor | None,
    resets: Tensor | None,
    drop: Tensor | None,
    zones: Tensor | None,
    zone: Tensor | None,
    cell: str,
    reverse: bool,
    rounded: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return output, finals, and what backward needs: the other states and a value per gate."""
    (steps, batch, features), hidden, kind = x.shape, states.shape[2], _cells[cell]
    kept = kernels.empty(steps, batch, bias.shape[0] if keep else 0, dtype=x.dtype)
    others = kernels.empty(len(kind.states) - 1, steps if keep else 2, batch, hidden, dtype=x.dtype)
    made = {"kept": kept, "output": kernels.empty(steps, batch, hidden, dtype=x.dtype), "others": others}
    made["finals"] = torch.empty_like(states)
    given = {"x": x, "weight_ih": ih, "weight_hh": hh, "bias": bias, "vectors": vectors, "initial": states}
    options = {"starts": starts, "lengths": lengths, "resets": resets, "drop": drop, "zones": zones, "zone": zone}
    numbers = {"steps": steps, "batch": batch, "features": features, "hidden": hidden}
    _call("forward", kind, rounded, {**numbers, "reverse": int(reverse), "keep": int(keep)}, given | options, made)
    return made["output"], made["finals"], others if keep else x.new_empty(0), kept


def _call(
    name: str,
    cell: type[Cell],
    rounded: bool,
    numbers: dict[str, int],
    given: dict[str, Tensor | None],
    made: dict[str, Tensor],
) -> None:
    library = kernels.load(cell, next(iter(made.values())).dtype, rounded)
    contiguous = {k: t if t is None else t.contiguous() for k, t in given.items()}
    kernels.call(library, name, numbers, {**contiguous, **made})


@_forward.register_fake
def _(x, ih, hh, bias, vectors, states, starts, lengths, resets, drop, zones, zone, cell, reverse, rounded, keep):  # type: ignore[no-untyped-def]
    (steps, batch, _), hidden = x.shape, states.shape[2]
    output = x.new_empty(steps, batch, hidden)
    if not keep:
        return output, torch.empty_like(states), x.new_empty(0), x.new_empty(steps, batch, 0)
    others = x.new_empty(states.shape[0] - 1, steps, batch, hidden)
    return output, torch.empty_like(states), others, x.new_empty(steps, batch, bias.shape[0])


@torch.library.custom_op("lstmlab::recurrence_backward", mutates_args=())
def _backward(
    x: Tensor,
    ih: Tensor,
    hh: Tensor,
    bias: Tensor,
    vectors: Tensor,
    states: Tensor,
    starts: Tensor,
    lengths: Tensor | None,
    resets: Tensor | None,
    drop: Tensor | None,
    zones: Tensor | None,
    zone: Tensor | None,
    output: Tensor,
    others: Tensor,
    kept: Tensor,
    grad_output: Tensor,
    grad_finals: Tensor,
    cell: str,
    reverse: bool,
    rounded: bool,
    of_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of x (empty unless ``of_x``), ih, hh, biases with vectors, states and starts."""
    (steps, batch, features), hidden, kind = x.shape, states.shape[2], _cells[cell]
    parts = (torch.get_num_threads(), len(kind.gates) + len(kind.vectors), hidden)
    made = {
        "grad_ih": torch.zeros_like(ih),
        "grad_hh": torch.zeros_like(hh),
        "grad_units": x.new_zeros(parts),
        "grad_initial": torch.empty_like(states),
        "grad_starts": torch.zeros_like(states),
    }
    grad_x = kernels.empty(*x.shape, dtype=x.dtype) if of_x else x.new_empty(0)
    given = {"x": x, "weight_ih": ih, "weight_hh": hh, "bias": bias, "vectors": vectors, "initial": states}
    options = {"starts": starts, "lengths": lengths, "resets": resets, "drop": drop, "zones": zones, "zone": zone}
    kept_ = {"output": output, "others": others, "kept": kept, "grad_output": grad_output, "grad_finals": grad_finals}
    numbers = {"steps": steps, "batch": batch, "features": features, "hidden": hidden}
    numbers |= {"reverse": int(reverse), "keep": 1}
    _call("backward", kind, rounded, numbers, {**given, **options, **kept_}, made | ({"grad_x": grad_x} if of_x else {}))
    made["grad_units"] = made["grad_units"].sum(0)
    return (grad_x, *made.values())


@_backward.register_fake
def _(x, ih, hh, bias, vectors, states, starts, lengths, resets, drop, zones, zone, output, others, kept, grad_output, grad_finals, cell, reverse, rounded, of_x):  # type: ignore[no-untyped-def]
    units = x.new_empty(bias.shape[0] // states.shape[2] + vectors.shape[0], states.shape[2])
    grad_x = torch.empty_like(x) if of_x else x.new_empty(0)
    return grad_x, torch.empty_like(ih), torch.empty_like(hh), units, torch.empty_like(states), torch.empty_like(states)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ih, hh, bias, vectors, states, starts, lengths, resets, drop, zones, zone, cell, reverse, rounded, _ = inputs
    out, _, others, kept = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        x, ih, hh, bias, vectors, states, starts, lengths, resets, drop, zones, zone, out, others, kept
    )
    ctx.cell, ctx.reverse, ctx.rounded = cell, reverse, rounded


def _differentiate(ctx: Any, grad_output: Tensor | None, grad_finals: Tensor | None, *_: Any) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    x, ih, hh, bias, vectors, states, starts, lengths, resets, drop, zones, zone, output, others, kept = saved
    grad_output = torch.zeros_like(output) if grad_output is None else grad_output
    grad_finals = torch.zeros_like(states) if grad_finals is None else grad_finals
    none = (None,) * 9
    if torch.is_grad_enabled():
        return (*_differentiable(ctx, grad_output, grad_finals), *none)
    given = (*saved, grad_output, grad_finals, ctx.cell, ctx.reverse, ctx.rounded, ctx.needs_input_grad[0])
    grad_x, grad_ih, grad_hh, units, initial, restarted = _backward(*given)
    gates = bias.shape[0] // states.shape[2]
    grad_x = grad_x if ctx.needs_input_grad[0] else None
    return grad_x, grad_ih, grad_hh, units[:gates].flatten(), units[gates:], initial, restarted, *none


def _differentiable(ctx: Any, grad_output: Tensor, grad_finals: Tensor) -> tuple[Tensor | None, ...]:
    """Return the first derivatives as something that can be differentiated again: by the reference."""
    from lstmlab.engine import reference

    *_, lengths, resets, drop, zones, zone, _, _, _ = ctx.saved_tensors
    leaves = [t.view_as(t) for t in ctx.saved_tensors[:7]]
    x, ih, hh, bias, vectors, states, starts = leaves
    cell = _cells[ctx.cell]
    recurrent = dict(zip(cell.recurrent, hh.chunk(max(len(cell.recurrent), 1), 1), strict=False))
    hidden, fed = output_width(states), fed_gates(cell)
    for state, gates in cell.recurrent.items():
        recurrent[state] = _rows(recurrent[state], [fed.index(g) for g in gates], hidden)
    weights = Weights(ih, recurrent, bias, dict(zip(cell.vectors, vectors, strict=True)))
    shares = zone.tolist() if zone is not None else zones if zones is not None else []
    r = Recurrence(
        cell(), x, weights, tuple(states), tuple(starts), lengths, None if resets is None else resets != 0,
        drop, dict(zip(cell.states, shares, strict=False)), ctx.reverse,
    )
    with torch.enable_grad():
        output, finals = reference.recur(r)
        results = [output, torch.stack(finals)]
        wanted = [t for t, needed in zip(leaves, ctx.needs_input_grad, strict=False) if needed]
        found = iter(torch.autograd.grad(results, wanted, [grad_output, grad_finals], create_graph=True, allow_unused=True))
    return tuple(next(found) if needed else None for needed in ctx.needs_input_grad[:7])


def output_width(states: Tensor) -> int:
    return states.shape[2]


def _rows(matrix: Tensor, wanted: list[int], hidden: int) -> Tensor:
    return torch.cat([matrix[i * hidden : (i + 1) * hidden] for i in wanted])


_forward.register_autograd(_differentiate, setup_context=_setup_context)

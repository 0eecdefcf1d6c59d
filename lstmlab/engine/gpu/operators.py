"""Whole passes on a GPU, in segments: what the operators of `lstmlab.engine.fused` do there.

All that concerns many steps at once (products with the input, gradients of weights) is one large
product a segment; `loops` does the rest. Both functions take and return what the operators do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.engine import fused
from lstmlab.engine.gpu import graphs
from lstmlab.engine.gpu.loops import Backward, Case, Forward, Loop

PRODUCTS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def forward(
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
    case = _case(cell, states, options, rounded, keep)
    (steps, batch, _), (count, _, hidden) = x.shape, states.shape
    output = x.new_empty(steps, batch, hidden)
    others = x.new_empty(count - 1, steps, batch, hidden) if keep else x.new_empty(0)
    kept = x.new_empty(steps, batch, bias.shape[0] if keep else 0)
    rows, matrix = _turn(x, reverse).to(case.products), ih.to(case.products).t()
    timed = _timed(options, steps, reverse)
    segments = _segments(steps, case.longest)
    with graphs.borrow(Forward, case, (n for _, n in segments)) as loop:
        _fill(loop, hh, vectors, starts, options)
        loop.fill("bias", bias)
        loop.fill("states", states[None])
        for begin, n in segments:
            part = slice(begin, begin + n)
            torch.mm(rows[part].flatten(0, 1), matrix, out=loop["inputs"][:n].flatten(0, 1))
            _fill_steps(loop, timed, part)
            graphs.run(loop, n)
            made = loop["states"]
            output[part] = made[1 : n + 1, 0]
            if keep:
                others[:, part] = made[1 : n + 1, 1:].transpose(0, 1)
                kept[part] = loop["kept"][:n]
            made[0] = made[n]
        finals = loop["states"][0].clone()
    return _turn(output, reverse), finals, others, kept


def backward(
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
    x, ih, hh, bias, vectors, states, starts = tensors
    case = _case(cell, states, options, rounded)
    kind, (steps, batch, _), hidden = case.cell, x.shape, case.hidden
    output, others, kept = _turn(found[0], reverse), found[1], found[2]
    grad_output = _turn(gradients[0], reverse)
    rows, matrix, timed = _turn(x, reverse), ih.to(case.products), _timed(options, steps, reverse)
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if of_x else x.new_empty(0)
    grad_ih, grad_hh = torch.zeros_like(ih), torch.zeros_like(hh)
    grad_bias = bias.new_zeros(len(kind.gates), hidden)
    segments = _segments(steps, case.longest)
    with graphs.borrow(Backward, case, (n for _, n in segments)) as loop:
        _fill(loop, hh, vectors, starts, options)
        loop.fill("before", gradients[1])
        loop["units"].zero_()
        loop["grad_starts"].zero_()
        for begin, n in reversed(segments):
            part = slice(begin, begin + n)
            before = loop["states"]
            if begin == 0:
                before[0] = states
            first, last = max(begin - 1, 0), begin + n - 1
            before[n - (last - first) : n, 0] = output[first:last]
            before[n - (last - first) : n, 1:] = others[:, first:last].transpose(0, 1)
            loop.fill("kept", kept[part])
            loop.fill("grad_output", grad_output[part])
            _fill_steps(loop, timed, part)
            graphs.run(loop, n)
            gates = loop["gates"][:n].view(n * batch, len(kind.gates), hidden)
            grad_bias += gates.sum(0)
            of_inputs = _of_gates(gates, kind, kind.inputs).to(case.products)
            _add_product(grad_ih, of_inputs, rows[part].flatten(0, 1), case.products)
            if of_x:
                grad_x[part] = torch.mm(of_inputs, matrix).view_as(x[part])
            if case.sources:
                of_fed = _of_gates(gates, kind, fused.fed_gates(kind))
                _add_product(grad_hh, of_fed, loop.feeds(n).flatten(0, 1), case.products)
        units = torch.cat([grad_bias, loop["units"].sum(1)])
        initial, of_starts = loop["before"].clone(), loop["grad_starts"].clone()
    return _turn(grad_x, reverse), grad_ih, grad_hh, units, initial, of_starts


def _case(cell: str, states: Tensor, options: Sequence[Tensor | None], rounded: str, keep: bool = True) -> Case:
    _, batch, hidden = states.shape
    given = frozenset(k for k, t in zip(fused.OPTIONS, options, strict=True) if t is not None)
    products = PRODUCTS.get(rounded, states.dtype)
    return Case(fused.cell_of(cell), batch, hidden, states.dtype, products, states.device, given, keep)


def _segments(steps: int, longest: int) -> list[tuple[int, int]]:
    """Return (first step, steps) of the segments: powers of two, so that few graphs serve all lengths."""
    segments, begin = [], 0
    while begin < steps:
        size = min(longest, 1 << ((steps - begin).bit_length() - 1))
        segments.append((begin, size))
        begin += size
    return segments


def _turn(value: Tensor, reverse: bool) -> Tensor:
    """Return ``value``, steps first, in the order of computation, or back from it."""
    return value.flip(0) if reverse and value.numel() else value


def _timed(options: Sequence[Tensor | None], steps: int, reverse: bool) -> dict[str, Tensor]:
    """Return the options that have a value for each step, steps first in the order of computation."""
    lengths, resets, _, zones, _ = options
    timed = {"resets": resets, "zones": None if zones is None else zones.transpose(0, 1)}
    if lengths is not None:
        timed["alive"] = torch.arange(steps, device=lengths.device)[:, None] < lengths
    return {k: _turn(t, reverse) for k, t in timed.items() if t is not None}


def _fill(loop: Loop, hh: Tensor, vectors: Tensor, starts: Tensor, options: Sequence[Tensor | None]) -> None:
    _, _, drop, _, zone = options
    for name, value in (("hh", hh), ("vectors", vectors), ("starts", starts), ("drop", drop), ("zone", zone)):
        loop.fill(name, value)


def _fill_steps(loop: Loop, timed: dict[str, Tensor], part: slice) -> None:
    for name, value in timed.items():
        loop.fill(name, value[part])
    if "resets" in timed:  # none before the step after: that segment has seen to it
        loop["resets"][part.stop - part.start].zero_()


def _of_gates(gates: Tensor, cell: type[Cell], wanted: tuple[str, ...]) -> Tensor:
    """Return the values of some gates out of (rows, gates, hidden) as (rows, wanted * hidden)."""
    if wanted == tuple(cell.gates):
        return gates.flatten(1)
    return torch.cat([gates[:, cell.gates.index(g)] for g in wanted], 1)


def _add_product(total: Tensor, left: Tensor, right: Tensor, dtype: torch.dtype) -> None:
    """Add the product of the transposed ``left`` with ``right``, computed in ``dtype``, to ``total``."""
    left, right = left.to(dtype), right.to(dtype)
    if dtype == total.dtype:
        total.addmm_(left.t(), right)
    else:
        total += torch.mm(left.t(), right)

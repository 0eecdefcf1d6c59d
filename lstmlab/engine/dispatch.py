"""Which engine computes a recurrence, and why."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from lstmlab.cells import Cell, equations
from lstmlab.engine import compiler, fused, gpu, kernels, reference, scan
from lstmlab.engine.compiler import CompilerError
from lstmlab.engine.recurrence import Recurrence, Result
from lstmlab.memo import constant, memo

if TYPE_CHECKING:
    from lstmlab.engine.layer import RNN

ENGINES = ("auto", "reference", "fused")


@dataclass(frozen=True)
class Path:
    """An engine, and why it is the one: ``name`` is "fused", "scan" or "reference"."""

    name: str
    reason: str


@constant
def path(cell: type[Cell], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Path:
    """Return the fastest path that this machine has for a cell; a kernel is built if need be."""
    return _find_path(cell, dtype, device)


@memo
def _find_path(cell: type[Cell], dtype: torch.dtype, device: str) -> Path:
    slow = "scan" if scan.coefficients(cell) else "reference"
    if not equations(cell).is_elementwise:
        return Path("reference", f"its {cell.norm} norm needs other units or rows of a step; kernels treat units alone")
    if device not in ("cpu", "cuda"):
        return Path(slow, f"there is no fused kernel for {device}")
    if dtype not in kernels.REALS:
        return Path(slow, f"kernels compute in float32 and float64, not {dtype}")
    if device == "cuda":
        missing = gpu.missing_for(cell)
        return Path(slow, missing) if missing else Path("fused", "Triton kernels from its equations, in CUDA graphs")
    try:
        kernels.load(cell, dtype, False)
    except CompilerError as error:
        return Path(slow, str(error))
    return Path("fused", f"C compiled from its equations for this CPU by {compiler.describe()}")


@memo
def _warn(reason: str) -> None:
    warnings.warn(f"recurrences run in plain PyTorch, several times slower: {reason}", RuntimeWarning, stacklevel=2)


def check(rnn: RNN) -> None:
    """Refuse an engine that does not exist, or that the cell cannot have.

    Raises:
        ValueError: with the engines there are, or the reason why there is no fused path.
    """
    if rnn.engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {rnn.engine!r}")
    if rnn.engine == "fused":
        _demand_fused(type(rnn.cell), path(type(rnn.cell)))


def _demand_fused(cell: type[Cell], found: Path) -> None:
    if found.name != "fused":
        raise ValueError(f"engine='fused' is not to be had for {cell.__name__}: {found.reason}")


def recur(r: Recurrence, engine: str, checkpoint_every: int | None) -> Result:
    """Compute ``r`` with the engine asked for, keeping only some states if ``checkpoint_every`` is given."""
    if checkpoint_every is not None and torch.is_grad_enabled() and len(r.x) > checkpoint_every:
        return _in_segments(r, engine, checkpoint_every)
    if engine == "reference" or _is_transformed():
        return reference.recur(r)
    found = path(type(r.cell), r.weights.bias.dtype, r.x.device.type)
    if engine == "fused":
        _demand_fused(type(r.cell), found)
    if found.name == "reference":
        if r.cell.norm is None:
            _warn(found.reason)
        return reference.recur(r)
    engine_of = fused.recur if found.name == "fused" else scan.recur
    if r.weights.projection is None:
        return engine_of(r)
    zero = r.fresh and not r.cell.initial.get(r.cell.states[0])  # else the output starts from what is no projection
    return _projected(r, engine_of) if zero and r.drop is None and not r.zones else reference.recur(r)


def _is_transformed() -> bool:
    """Whether torch.func (grad, vmap, jvp) or forward-mode differentiation is at work: kernels have no rules."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


def _projected(r: Recurrence, engine: Callable[[Recurrence], Result]) -> Result:
    """Compute a recurrence whose output is projected, from zero states, without a projection per step.

    With h = P u, R h = (R P) u: the recurrence runs on u, and all outputs are projected at the end.
    """
    output = r.cell.states[0]
    p = r.weights.projection
    assert p is not None
    with torch.autocast(r.x.device.type, enabled=False):  # weights stay what they are; the engine rounds them
        recurrent = {k: w @ p if k == output else w for k, w in r.weights.recurrent.items()}
    zeros = r.states[0].new_zeros(r.x.shape[1], p.shape[1])
    inner = replace(
        r,
        weights=replace(r.weights, recurrent=recurrent, projection=None),
        states=(zeros, *r.states[1:]),
        starts=(zeros, *r.starts[1:]),
    )
    outputs, finals = engine(inner)
    return linear(outputs, p).to(p.dtype), (linear(finals[0], p).to(p.dtype), *finals[1:])


def _in_segments(r: Recurrence, engine: str, every: int) -> Result:
    """Compute ``r`` in segments of ``every`` steps, each computed anew when backward comes to it."""
    steps = len(r.x)
    # split, not slices: the gradient of each slice would be as long as the sequence
    inputs = r.x.split(every)
    order = list(range(len(inputs)))[:: -1 if r.reverse else 1]
    states, outputs = r.states, [r.x] * len(inputs)
    for i in order:
        begin, end = i * every, min((i + 1) * every, steps)
        part = replace(
            r,
            x=inputs[i],
            states=states,
            lengths=None if r.lengths is None else (r.lengths - begin).clamp(0, end - begin),
            resets=None if r.resets is None else r.resets[begin:end],
            zones={k: z[begin:end] if isinstance(z, Tensor) else z for k, z in r.zones.items()},
            fresh=r.fresh and i == order[0],
        )
        outputs[i], states = checkpoint(recur, part, engine, None, use_reentrant=False)
    return torch.cat(outputs), states

"""What is timed: cells on their engines, torch's own layers, and loops as one writes them by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstmlab import registry
from lstmlab.bench.options import Options, Shape
from lstmlab.engine import RNN, dispatch
from lstmlab.engine.costs import flops

TORCH = {"nn.LSTM": nn.LSTM, "nn.GRU": nn.GRU}
MODES = ("forward", "forward + backward")


class Entry(NamedTuple):
    """One thing that is timed."""

    cell: str  # a registered cell, or a key of TORCH
    engine: str  # "auto", "reference", "by hand" or "torch"

    @property
    def baseline(self) -> str:
        """The layer of torch that it is compared with."""
        return self.cell if self.cell in TORCH else "nn.GRU" if self.cell == "gru" else "nn.LSTM"


def entries(options: Options) -> list[Entry]:
    """Return what ``options`` ask for, torch's layers first."""
    found = [Entry(cell, "auto") for cell in options.cells]
    if options.reference:
        found += [Entry(cell, "reference") for cell in options.cells]
        found += [Entry(cell, "by hand") for cell in options.cells if cell in BY_HAND]
    used = {entry.baseline for entry in found}
    return [Entry(name, "torch") for name in TORCH if name in used] + found


def operations(entry: Entry, shape: Shape, mode: str) -> int:
    """Return the floating-point operations of one call."""
    name = {"nn.LSTM": "vanilla", "nn.GRU": "gru"}.get(entry.cell, entry.cell)
    counted = flops(registry.cell.get(name), shape.features, shape.hidden)
    return shape.time * shape.batch * (counted.forward if mode == "forward" else counted.both)


def _example(options: Options, shape: Shape) -> Tensor:
    """Return the input that all entries get: (time, batch, features)."""
    dtype = torch.float64 if options.dtype == "float64" else torch.float32
    random = torch.Generator().manual_seed(0)
    return torch.randn(shape.time, shape.batch, shape.features, generator=random, dtype=dtype)


def path(entry: Entry, options: Options) -> str:
    """Return what computes an entry: for "auto" the path that the layer takes for this cell here."""
    if entry.engine != "auto":
        return entry.engine
    dtype = torch.float64 if options.dtype == "float64" else torch.float32
    return dispatch.path(registry.cell.get(entry.cell), dtype).name


def prepare(entry: Entry, shape: Shape, mode: str, options: Options) -> Callable[[], None]:
    """Return a function that does the entry's work once."""
    x = _example(options, shape)
    module = _build(entry, shape).to(x.dtype)
    return _forward(module.eval(), x, options) if mode == "forward" else _training(module, x, options)


def _build(entry: Entry, shape: Shape) -> nn.Module:
    sizes = shape.features, shape.hidden
    if entry.engine == "torch":
        return TORCH[entry.cell](*sizes)
    if entry.engine == "by hand":
        return BY_HAND[entry.cell](*sizes)
    return RNN(entry.cell, *sizes, engine=entry.engine)


def _precision(options: Options) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if options.dtype == "bfloat16" else nullcontext()


def _forward(module: nn.Module, x: Tensor, options: Options) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad(), _precision(options):
            module(x)

    return call


def _training(module: nn.Module, x: Tensor, options: Options) -> Callable[[], None]:
    wanted = [x.clone().requires_grad_(), *module.parameters()]
    arriving: list[Tensor] = []  # the gradient of the output, made in the first call, which is not timed

    def call() -> None:
        with _precision(options):
            output, _ = module(wanted[0])
        if not arriving:
            arriving.append(torch.randn_like(output))
        torch.autograd.grad(output, wanted, arriving, allow_unused=True)

    return call


class _Loop(nn.Module):
    """An LSTM as one writes it: one product for the inputs of all steps, then a loop over the steps."""

    peepholes = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden_size)
        shapes = [(4 * hidden_size, input_size), (4 * hidden_size, hidden_size), (4 * hidden_size,)]
        shapes += [(hidden_size,)] * 3 if self.peepholes else []
        self.weights = nn.ParameterList(torch.empty(shape).uniform_(-bound, bound) for shape in shapes)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return outputs (T, B, H) and final states of an input (T, B, I)."""
        w, r, b, *peepholes = self.weights
        h = c = x.new_zeros(x.shape[1], r.shape[1])
        outputs = []
        for projected in linear(x, w, b):
            i, f, g, o = (projected + linear(h, r)).chunk(4, 1)
            if peepholes:
                i, f = i + peepholes[0] * c, f + peepholes[1] * c
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            if peepholes:
                o = o + peepholes[2] * c
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), (h, c)


class _PeepholeLoop(_Loop):
    peepholes = True


BY_HAND = {"vanilla": _Loop, "peephole": _PeepholeLoop}

"""The steps of a pass, forward and back: buffers that stay where they are, and what is launched on them.

A step is one recurrent product and one kernel. Buffers are numbered by steps in the order of
computation, from 0 in each segment; the caller fills them, and reads them afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.engine.fused import fed_gates
from lstmlab.engine.gpu import build

BLOCK = 128  # units of a row, or of several, that one program of a kernel treats
LONGEST = 128  # steps that one graph holds
VALUES = 1 << 23  # of gates that the steps of one graph have, at most, if they are more than one step


@dataclass(frozen=True)
class Case:
    """What a loop is made for: its buffers and graphs serve for equal cases only.

    Attributes:
        dtype: of states and elementwise work.
        products: dtype of what recurrent products read and write.
        options: names out of `fused.OPTIONS` that are given.
        keep: whether forward keeps what backward needs.
    """

    cell: type[Cell]
    batch: int
    hidden: int
    dtype: torch.dtype
    products: torch.dtype
    device: torch.device
    options: frozenset[str]
    keep: bool = True

    @property
    def longest(self) -> int:
        """Steps that a segment has at most, a power of two."""
        values, steps = max(1, self.batch * self.hidden * len(self.cell.gates)), LONGEST
        while steps > 1 and steps * values > VALUES:
            steps //= 2
        return steps

    @property
    def sources(self) -> list[int]:
        """Numbers of the states that recurrent products read."""
        return [self.cell.states.index(s) for s in self.cell.recurrent]


class Loop(ABC):
    """Buffers of a case, by name (None for an option that is not given), and the steps on them."""

    def __init__(self, case: Case) -> None:
        self.case, self.kernels = case, build.load(case.cell)
        self.graphs: dict[int, Any] = {}  # steps -> what replays them
        cell, steps, batch, hidden = case.cell, case.longest, case.batch, case.hidden
        states, fed, fields = len(cell.states), len(fed_gates(cell)) * hidden, len(cell.recurrent) * hidden
        self.buffers: dict[str, Tensor | None] = {
            "hh": self._new(fed, fields, dtype=case.products),
            "vectors": self._new(len(cell.vectors), hidden),
            "states": self._new(steps + 1, states, batch, hidden),
            "starts": self._new(states, batch, hidden),
            "alive": self._option("lengths", steps, batch, dtype=torch.uint8),
            "resets": self._option("resets", steps + 1, batch, dtype=torch.uint8),
            "drop": self._option("drop", batch, hidden),
            "zones": self._option("zones", steps, states, batch, hidden),
            "zone": self._option("zone", states),
            "kept": self._new(steps, batch, len(cell.gates) * hidden) if case.keep else None,
            "feed": self._new(batch, fields, dtype=case.products),  # or its gradient
            "fed": self._new(batch, fed, dtype=case.products),  # the product with it, or its gradient
        }

    def __getitem__(self, name: str) -> Tensor:
        found = self.buffers[name]
        assert found is not None, name
        return found

    def fill(self, name: str, value: Tensor | None) -> None:
        """Copy ``value``, or as many steps as it has, into a buffer; None leaves all as it is."""
        if value is not None:
            self[name][: len(value)].copy_(value)

    def feeds(self, steps: int) -> Tensor:
        """Return what recurrent products read at the first steps: (steps, batch, sources * hidden)."""
        old, drop = self["states"][:steps], self.buffers["drop"]
        if self.buffers["resets"] is not None:
            old = torch.where(self["resets"][:steps, None, :, None] != 0, self["starts"], old)
        return torch.cat([old[:, i] * drop if i == 0 and drop is not None else old[:, i] for i in self.case.sources], 2)

    @abstractmethod
    def run(self, steps: int) -> None:
        """Do the first ``steps`` steps of the buffers."""

    def _new(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self.case.dtype, device=self.case.device)

    def _option(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor | None:
        return self._new(*shape, dtype=dtype) if name in self.case.options else None

    def _at(self, name: str, step: int) -> Tensor | None:
        found = self.buffers[name]
        return None if found is None else found[step]

    def _options(self, step: int) -> tuple[Tensor | None, ...]:
        """Return the kernels' arguments `code.OPTIONS` for a step."""
        b = self.buffers
        resets = self._at("resets", step), self._at("resets", step + 1)
        return b["starts"], self._at("alive", step), *resets, b["drop"], self._at("zones", step), b["zone"]

    def _launch(self, kernel: Any, *arguments: Tensor | None) -> None:
        batch, hidden = self.case.batch, self.case.hidden
        kernel[(-(-batch * hidden // BLOCK),)](*arguments, batch, hidden, BLOCK=BLOCK)


class Forward(Loop):
    """From ``states[0]`` and ``inputs`` (steps, batch, inputs * hidden) to the other states and ``kept``."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        cell, steps, batch, hidden = case.cell, case.longest, case.batch, case.hidden
        self.buffers["inputs"] = self._new(steps, batch, len(cell.inputs) * hidden, dtype=case.products)
        self.buffers["bias"] = self._new(len(cell.gates) * hidden)

    def run(self, steps: int) -> None:
        b = self.buffers
        if self.case.sources:
            self["feed"].copy_(self.feeds(1)[0])
        for t in range(steps):
            if self.case.sources:
                torch.mm(self["feed"], self["hh"].t(), out=self["fed"])
            old, new = self["states"][t], self["states"][t + 1]
            given = self["inputs"][t], b["fed"], b["bias"], b["vectors"], old, *self._options(t)
            self._launch(self.kernels.forward, *given, self._at("kept", t), new, b["feed"])


class Backward(Loop):
    """From ``before``, the gradient of the last states, to that of ``states[0]``, and those of all gates.

    It reads ``states``, ``kept`` and ``grad_output`` (steps, batch, hidden), writes ``gates``
    (steps, batch, gates * hidden), and adds to ``units`` (vectors, batch, hidden) and ``grad_starts``.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        cell, steps, batch, hidden = case.cell, case.longest, case.batch, case.hidden
        self.buffers["grad_output"] = self._new(steps, batch, hidden)
        self.buffers["before"] = self._new(len(cell.states), batch, hidden)
        self.buffers["gates"] = self._new(steps, batch, len(cell.gates) * hidden)
        self.buffers["units"] = self._new(len(cell.vectors), batch, hidden)
        self.buffers["grad_starts"] = self._new(len(cell.states), batch, hidden)

    def run(self, steps: int) -> None:
        b = self.buffers
        self["feed"].zero_()
        for t in reversed(range(steps)):
            given = self["kept"][t], b["vectors"], self["states"][t], self["grad_output"][t], b["before"], b["feed"]
            made = self["gates"][t], b["fed"], b["units"], b["grad_starts"]
            self._launch(self.kernels.backward, *given, *self._options(t), *made)
            if self.case.sources:
                torch.mm(self["fed"], self["hh"], out=self["feed"])
        self._leave_first_step()

    def _leave_first_step(self) -> None:
        """Bring together in ``before`` what arrives at the states before the first step."""
        before, drop = self["before"], self.buffers["drop"]
        for i, fed_back in zip(self.case.sources, self["feed"].split(self.case.hidden, 1), strict=False):
            before[i] += fed_back * drop if i == 0 and drop is not None else fed_back
        if self.buffers["resets"] is not None:
            anew = self["resets"][0, None, :, None] != 0
            self["grad_starts"].add_(before.masked_fill(~anew, 0))
            before.masked_fill_(anew, 0)

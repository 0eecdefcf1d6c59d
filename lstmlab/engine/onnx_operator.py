"""Which standard ONNX operator a cell is, found by comparing equations and not by name.

The operators are written down here as https://onnx.ai/onnx/operators/ defines them. A cell is one
of them if its step gives the same numbers, in float64 at random points, for some assignment of its
gates and vectors to the operator's; so somebody's own LSTM is recognised as ours are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.errors import LstmlabError

POINTS = 256  # values drawn for each variable
TOLERANCE = 1e-9  # relative and absolute
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"Tanh": torch.tanh, "Affine": lambda x: x, "Relu": torch.relu}
COVERS = (
    "ONNX has two operators. LSTM: gates sigmoid, peepholes or none, f = 1 - i or a gate of its own, "
    "candidate and output through tanh, relu or the identity. GRU: linear before reset, candidate through "
    "tanh, relu or the identity"
)


class ExportError(LstmlabError):
    """A layer that the standard ONNX operators cannot express, or that cannot be written here."""


@dataclass(frozen=True)
class Form:
    """An operator in one of its writings.

    Attributes:
        op: "LSTM" or "GRU".
        inputs: roles of its gates that see the input, in the order in which it stores them.
        recurrent: roles of those that see the output.
        states: roles of its states.
        vectors: roles of its peepholes, in the order of storage; a cell may have fewer.
        coupled: f = 1 - i, so that no gate of the cell is f.
        negated: roles whose weights change sign, because the cell stores the complement of that gate.
    """

    op: str
    inputs: tuple[str, ...]
    recurrent: tuple[str, ...]
    states: tuple[str, ...]
    vectors: tuple[str, ...] = ()
    coupled: bool = False
    negated: tuple[str, ...] = ()

    @property
    def gates(self) -> tuple[str, ...]:
        """The roles that the gates of a cell must fill."""
        return tuple(
            role for role in dict.fromkeys((*self.inputs, *self.recurrent)) if not (self.coupled and role == "f")
        )

    def step(self, v: dict[str, Tensor], activations: tuple[str, ...]) -> tuple[Tensor, ...]:
        """Return the operator's new states from role -> value, in the order of `states`."""
        g, h = (ACTIVATIONS[a] for a in (activations * 2)[:2])
        if self.op == "GRU":
            z = torch.sigmoid(v["z"])
            return ((1 - z) * g(v["n"] + torch.sigmoid(v["r"]) * v["m"]) + z * v["h"],)
        i = torch.sigmoid(v["i"] + v["p_i"] * v["c"])
        f = 1 - i if self.coupled else torch.sigmoid(v["f"] + v["p_f"] * v["c"])
        c = f * v["c"] + i * g(v["g"])
        return torch.sigmoid(v["o"] + v["p_o"] * c) * h(c), c


@dataclass(frozen=True)
class Operator:
    """A cell as an operator.

    Attributes:
        activations: of the candidate, and for an LSTM of the output too, by their ONNX names.
        roles: role -> the gate or vector of the cell that plays it; a role without one is zero.
    """

    form: Form
    activations: tuple[str, ...]
    roles: dict[str, str]


LSTM = Form("LSTM", tuple("iofg"), tuple("iofg"), ("h", "c"), ("p_i", "p_o", "p_f"))
GRU = Form("GRU", tuple("zrn"), tuple("zrm"), ("h",))
COUPLED = replace(LSTM, coupled=True)
FORMS = (LSTM, COUPLED, replace(COUPLED, negated=("i", "p_i")), GRU, replace(GRU, negated=("z",)))


def recognise(cell: type[Cell]) -> Operator:
    """Return the operator that computes ``cell``.

    Raises:
        ExportError: when there is none.
    """
    if cell.norm is None and set(cell.recurrent) <= {cell.states[0]}:
        for form in FORMS:
            for roles in _assignments(cell, form):
                for activations in product(ACTIVATIONS, repeat=len(form.states)):
                    if _agrees(cell, form, roles, activations):
                        return Operator(form, activations, roles)
    raise ExportError(f"The cell {cell.__name__} is none of the standard ONNX operators. {COVERS}.")


def _assignments(cell: type[Cell], form: Form) -> Iterator[dict[str, str]]:
    """Yield the ways to give each gate a role that sees what it sees, and each vector a role."""
    if (len(cell.gates), len(cell.states)) != (len(form.gates), len(form.states)):
        return
    fed = cell.recurrent.get(cell.states[0], ())
    for gates in permutations(cell.gates):
        named = dict(zip(form.gates, gates, strict=True))
        if all(
            (role in form.inputs or gate not in cell.inputs) and (role in form.recurrent or gate not in fed)
            for role, gate in named.items()
        ):
            for roles in permutations(form.vectors, len(cell.vectors)):
                yield named | dict(zip(roles, cell.vectors, strict=True))


def _agrees(cell: type[Cell], form: Form, roles: dict[str, str], activations: tuple[str, ...]) -> bool:
    """Tell whether the cell's step and the operator's give the same numbers."""
    values = _draw((*cell.gates, *cell.vectors, *cell.states))
    zero = torch.zeros(POINTS, dtype=torch.float64)
    theirs = dict.fromkeys((*form.gates, *form.vectors), zero) | dict(
        zip(form.states, (values[s] for s in cell.states), strict=True)
    )
    theirs |= {role: -values[name] if role in form.negated else values[name] for role, name in roles.items()}
    ours = cell().step(*(values[g] for g in cell.gates), **{k: values[k] for k in cell.keywords()})
    expected = form.step(theirs, activations)
    return all(
        torch.allclose(ours[state], value, rtol=TOLERANCE, atol=TOLERANCE)
        for state, value in zip(cell.states, expected, strict=True)
    )


def _draw(names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return values of every size from 0.1 to 100, the same in every call."""
    random = torch.Generator().manual_seed(0)
    shape = (len(names), POINTS)
    size = 10 ** (3 * torch.rand(shape, generator=random, dtype=torch.float64) - 1)
    drawn = torch.randn(shape, generator=random, dtype=torch.float64) * size
    return dict(zip(names, drawn.unbind(0), strict=True))

"""One run of a cell's `step` on the nodes of a graph, and what is refused there."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from lstmlab.cells._cell import Cell
from lstmlab.cells._graph import Graph, Node
from lstmlab.errors import LstmlabError, nearest

RESERVED = ("weight", "bias", "initial_", "norm_")  # how the names of the layer's own parameters begin


class CellError(LstmlabError):
    """A cell whose declaration or equations cannot be computed; the message says where and what to do."""


@dataclass(frozen=True)
class Equations:
    """A cell's step as a graph.

    Attributes:
        cell: whose step it is.
        graph: all operations; its inputs are the names of gates (pre-activations), previous
            states and vectors.
        states: state -> the node of its new value.
    """

    cell: type[Cell]
    graph: Graph
    states: dict[str, Node]

    @property
    def is_elementwise(self) -> bool:
        """Whether each unit can be computed from its own values, without a norm over others."""
        return self.cell.norm is None


_known: dict[type[Cell], Equations] = {}


def equations(cell: type[Cell]) -> Equations:
    """Run ``cell.step`` once on symbols.

    Raises:
        CellError: for names that do not fit, branches and operations without a rule.
    """
    if cell not in _known:
        _known[cell] = _run(cell)
    return _known[cell]


def _run(cell: type[Cell]) -> Equations:
    _check_names(cell)
    graph = Graph()
    gates = [graph.input(name) for name in cell.gates]
    parts: dict[str, Any] = {name: graph.input(name) for name in cell.keywords() if name not in cell.norms()}
    for name in cell.norms():
        parts[name] = partial(graph.apply, name)
    try:
        new = cell().step(*gates, **parts)
    except Exception as error:
        _refuse(cell, _why(error), _line(cell, error))
    if not isinstance(new, dict) or set(new) != set(cell.states):
        got = sorted(map(str, new)) if isinstance(new, dict) else type(new).__name__
        _refuse(cell, f"it returns {got}: return a dict with exactly the states {sorted(cell.states)}", _first(cell))
    for name, node in new.items():
        if not isinstance(node, Node):
            _refuse(cell, f"the new {name} is {node!r}: return a value computed from gates and states", _first(cell))
    found = Equations(cell, graph, {name: new[name] for name in cell.states})
    _check_use(found)
    return found


def _check_names(cell: type[Cell]) -> None:
    if cell.step is Cell.step or not getattr(cell, "gates", ()):
        _refuse(cell, "it has no equations: declare gates and define step()")
    for attribute in ("gates", "states", "vectors"):
        given = getattr(cell, attribute)
        if not isinstance(given, tuple):
            _refuse(cell, f"{attribute} is {given!r}: make it a tuple of names, ('a', 'b') or ('a',)")
    names = [*cell.gates, *cell.states, *cell.vectors]
    for name in names:
        if not str(name).isidentifier():
            _refuse(cell, f"{name!r} is no Python name: rename it")
        if name in cell.vectors and name.startswith(RESERVED):
            _refuse(cell, f"the vector {name!r} is named as the layer's own parameters are: rename it")
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        _refuse(cell, f"{twice[0]!r} is declared twice: rename one")
    parameters = list(inspect.signature(cell.step).parameters.values())[1:]
    positional = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    if positional != tuple(cell.gates):
        _refuse(cell, f"step{positional} must take the gates {tuple(cell.gates)} first, in this order", _first(cell))
    for name in cell.keywords():
        known = [*cell.states, *cell.vectors]  # and, of a cell with a norm, norm_STATE
        if name.startswith("norm_") and name.removeprefix("norm_") in cell.states and cell.norm:
            continue
        _check_known(cell, name, known, "a state or vector", "step takes")
    if cell.norm not in (None, "layer", "batch"):
        _refuse(cell, f"norm is {cell.norm!r}: it may be 'layer', 'batch' or None")
    for where, given, allowed, kind in [
        ("inputs names", cell.inputs, cell.gates, "a gate"),
        ("forget names", cell.forget, cell.gates, "a gate"),
        ("initial names", cell.initial, cell.states, "a state"),
        ("recurrent names", cell.recurrent, cell.states, "a state"),
        ("recurrent feeds", [g for fed in cell.recurrent.values() for g in fed], cell.gates, "a gate"),
    ]:
        for name in given:
            _check_known(cell, name, allowed, kind, where)
    if not cell.inputs:
        _refuse(cell, "none of its gates sees the input: name one in inputs")
    for where, fed in [("inputs", cell.inputs), *((f"recurrent[{k!r}]", v) for k, v in cell.recurrent.items())]:
        if not isinstance(fed, tuple) or not fed or len({*fed}) < len(fed):
            _refuse(cell, f"{where} is {fed!r}: make it a tuple of gates, ('a', 'b') or ('a',), each once")


def _check_known(cell: type[Cell], name: str, allowed: Iterable[str], kind: str, where: str) -> None:
    if name not in allowed:
        known = f"{nearest(name, allowed)} Known: {', '.join(allowed)}"
        _refuse(cell, f"{where} {name!r}, which is not {kind} that it declares: declare it, or name another.{known}")


def _check_use(found: Equations) -> None:
    """Refuse what was declared and has no influence: it would be a parameter that never learns."""
    cell = found.cell
    used = {n.value if n.op == "input" else n.op for n in found.graph.needed(list(found.states.values()))}
    idle = [n for n in (*cell.gates, *cell.vectors, *cell.norms()) if n not in used]
    if idle:
        _refuse(cell, f"its equations never use {', '.join(idle)}: use them, or do not declare them", _first(cell))


def _why(error: Exception) -> str:
    if isinstance(error, NameError):
        return f"{error}: declare it as a gate, state or vector and let step take it, or import it"
    return str(error) if isinstance(error, TypeError) else f"it raises {error!r}"


def _first(cell: type[Cell]) -> int:
    return cell.step.__code__.co_firstlineno


def _line(cell: type[Cell], error: BaseException) -> int:
    """Return the line of the step that was running when ``error`` was raised."""
    code = cell.step.__code__
    lines = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    return lines[-1] if lines else code.co_firstlineno


def _refuse(cell: type[Cell], reason: str, line: int | None = None) -> NoReturn:
    """Raise with the line of the step, or that of the class if the fault is in what it declares."""
    where = cell.step.__code__.co_filename
    if line is None:
        try:
            where = inspect.getsourcefile(cell) or where
            line = inspect.getsourcelines(cell)[1]
        except (OSError, TypeError):  # not from a file: the step may still know where it stands
            line = _first(cell)
    raise CellError(f"The cell {cell.__name__} ({where}:{line}) cannot be used: {reason}.") from None

"""The Triton source of a cell's kernels: one step forward and one step back, for each row and unit.

Arrays of one step are planes (states, batch, hidden), rows (batch, parts * hidden) of gates and of
what recurrent products read and write, or units (parts, hidden) of what all rows share. Options
that are not given are None, and Triton leaves out what belongs to them.
"""

from __future__ import annotations

from collections.abc import Iterable

from lstmlab.cells import Cell, Graph, Node
from lstmlab.engine.derivative import Derivative, derive
from lstmlab.engine.fused import fed_gates

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
OPTIONS = "starts, alive, resets, later_resets, drop, zones, zone"
FORWARD = f"inputs, product, bias, vectors, old, {OPTIONS}, kept, new, feed"
BACKWARD = f"kept, vectors, old, grad_output, before, grad_feed, {OPTIONS}, gates, fed, units, grad_starts"
HEADER = """import triton
import triton.language as tl

from lstmlab.engine.gpu.operations import exp, larger, log_sigmoid, maximum, positive, relu, sigmoid, tanh
"""
BEGIN = """

@triton.jit
def {}({}, batch, hidden, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = batch * hidden
    inside = at < size
    row = at // hidden
    unit = at % hidden
    real = old.dtype.element_ty
    zero = tl.full((BLOCK,), 0.0, real)
"""


def source(cell: type[Cell]) -> str:
    """Return the Python source of a module with a cell's kernels."""
    made = derive(cell)
    text = HEADER
    for name, arguments, lines in (("forward", FORWARD, _forward(made)), ("backward", BACKWARD, _backward(made))):
        text += BEGIN.format(name, arguments) + "".join(f"    {line}\n" for line in lines)
    return text


def _forward(made: Derivative) -> list[str]:
    cell = made.forward.cell
    fed, gates, states = fed_gates(cell), range(len(cell.gates)), range(len(cell.states))
    lines = _before_the_step(cell)
    for i, gate in enumerate(cell.gates):
        lines.append(f"gate{i} = {_read(_unit('bias', i))}")
        for array, of in (("inputs", cell.inputs), ("product", fed)):
            if gate in of:
                lines.append(f"gate{i} += {_read(_part(array, of.index(gate), len(of)))}.to(real)")
    reads = _known(cell) | {g: f"gate{i}" for i, g in enumerate(cell.gates)}
    writes = [(f"kept{i}", made.kept[g]) for i, g in enumerate(cell.gates)]
    writes += [(f"new{i}", made.forward.states[s]) for i, s in enumerate(cell.states)]
    lines += _body(made.forward.graph, reads, writes)
    lines += _if("kept", [_write(_part("kept", i, len(gates)), f"kept{i}") for i in gates])
    for option, share in _shares(cell):
        lines += _if(option, [f"new{i} = {share[i]} * old{i} + (1.0 - {share[i]}) * new{i}" for i in states])
    lines += _if("alive", [_flag("live", "alive"), *(f"new{i} = tl.where(live, new{i}, old{i})" for i in states)])
    lines += [_write(_plane("new", i), f"new{i}") for i in states]
    sources = [cell.states.index(s) for s in cell.recurrent]
    lines += _if("later_resets", _restarted("new", "later_resets", sources))
    if 0 in sources:
        lines += _if("drop", [f"new0 *= {_read(_plane('drop', 0))}"])
    return lines + [_write(_part("feed", w, len(sources)), f"new{i}") for w, i in enumerate(sources)]


def _backward(made: Derivative) -> list[str]:
    cell = made.forward.cell
    gates, states, vectors = range(len(cell.gates)), range(len(cell.states)), range(len(cell.vectors))
    lines = _before_the_step(cell)
    lines += [f"kept{i} = {_read(_part('kept', i, len(gates)))}" for i in gates]
    lines += [f"arriving{i} = {_read(_plane('before', i))}" for i in states]
    for w, i in enumerate(cell.states.index(s) for s in cell.recurrent):
        lines.append(f"fed_back = {_read(_part('grad_feed', w, len(cell.recurrent)))}.to(real)")
        if i == 0:
            lines += _if("drop", [f"fed_back *= {_read(_plane('drop', 0))}"])
        lines.append(f"arriving{i} += fed_back")
    ended = [_flag("anew", "later_resets")]
    for i in states:
        at = _plane("grad_starts", i)
        ended += [_write(at, f"{_read(at)} + tl.where(anew, arriving{i}, 0.0)")]
        ended += [f"arriving{i} = tl.where(anew, 0.0, arriving{i})"]
    lines += _if("later_resets", ended)
    lines.append(f"arriving0 += {_read(_plane('grad_output', 0))}")
    lines += [f"passing{i} = zero" for i in states] + [f"through{i} = arriving{i}" for i in states]
    for option, share in _shares(cell):
        shared = [f"passing{i} = {share[i]} * arriving{i}" for i in states]
        lines += _if(option, shared + [f"through{i} = arriving{i} - passing{i}" for i in states])
    reads = _known(cell) | {f"kept:{g}": f"kept{i}" for i, g in enumerate(cell.gates)}
    reads |= {f"grad:{s}": f"through{i}" for i, s in enumerate(cell.states)}
    targets = {"grad": cell.gates, "before": cell.states, "own": cell.vectors}
    nothing = made.graph.constant(0.0)
    writes = [(f"{k}{i}", made.gradients.get(n, nothing)) for k, of in targets.items() for i, n in enumerate(of)]
    lines += _body(made.graph, reads, writes) + [f"before{i} += passing{i}" for i in states]
    still = [f"{name} = tl.where(live, {name}, 0.0)" for name in (*_names("grad", gates), *_names("own", vectors))]
    still += [f"before{i} = tl.where(live, before{i}, arriving{i})" for i in states]
    lines += _if("alive", [_flag("live", "alive"), *still])
    fed = fed_gates(cell)
    lines += [_write(_part("gates", i, len(gates)), f"grad{i}") for i in gates]
    lines += [_write(_part("fed", k, len(fed)), f"grad{cell.gates.index(g)}") for k, g in enumerate(fed)]
    lines += [_write(_plane("before", i), f"before{i}") for i in states]
    return lines + [_write(_plane("units", i), f"{_read(_plane('units', i))} + own{i}") for i in vectors]


def _before_the_step(cell: type[Cell]) -> list[str]:
    """Return what both kernels begin with: the states before the step, and the vectors."""
    states = range(len(cell.states))
    lines = [f"old{i} = {_read(_plane('old', i))}" for i in states]
    lines += _if("resets", _restarted("old", "resets", states))
    return lines + [f"vector{i} = {_read(_unit('vectors', i))}" for i in range(len(cell.vectors))]


def _known(cell: type[Cell]) -> dict[str, str]:
    known = {s: f"old{i}" for i, s in enumerate(cell.states)}
    return known | {v: f"vector{i}" for i, v in enumerate(cell.vectors)}


def _body(graph: Graph, reads: dict[str, str], writes: list[tuple[str, Node]]) -> list[str]:
    names: dict[int, str] = {}
    lines = []
    for node in graph.needed([node for _, node in writes]):
        args = [names[a.index] for a in node.args]
        if node.op == "input":
            names[node.index] = reads[node.value]
            continue
        if node.op == "constant":
            text = f"tl.full((BLOCK,), {node.value!r}, real)"
        elif node.op in INFIX:
            text = f"{args[0]} {INFIX[node.op]} {args[1]}"
        else:
            text = f"{node.op}({', '.join(args)})"
        names[node.index] = f"v{node.index}"
        lines.append(f"v{node.index} = {text}")
    return lines + [f"{target} = {names[node.index]}" for target, node in writes]


def _shares(cell: type[Cell]) -> list[tuple[str, list[str]]]:
    """Return, for either kind of zoneout, the share of its old value that each state keeps."""
    states = range(len(cell.states))
    return [("zones", [_read(_plane("zones", i)) for i in states]), ("zone", [f"tl.load(zone + {i})" for i in states])]


def _restarted(name: str, resets: str, states: Iterable[int]) -> list[str]:
    """Return what puts a sequence's start in place of its states where it starts anew."""
    return [
        _flag("anew", resets),
        *(f"{name}{i} = tl.where(anew, {_read(_plane('starts', i))}, {name}{i})" for i in states),
    ]


def _names(of: str, numbers: Iterable[int]) -> list[str]:
    return [f"{of}{i}" for i in numbers]


def _if(option: str, lines: list[str]) -> list[str]:
    return [f"if {option} is not None:", *(f"    {line}" for line in lines)] if lines else []


def _flag(name: str, of_rows: str) -> str:
    return f"{name} = tl.load({of_rows} + row, inside, 0) != 0"


def _plane(name: str, index: int) -> str:
    return f"{name} + {index} * size + at"


def _part(name: str, index: int, of: int) -> str:
    return f"{name} + (row * {of} + {index}) * hidden + unit"


def _unit(name: str, index: int) -> str:
    return f"{name} + {index} * hidden + unit"


def _read(address: str) -> str:
    return f"tl.load({address}, inside, 0.0)"


def _write(address: str, value: str) -> str:
    return f"tl.store({address}, {value}, inside)"

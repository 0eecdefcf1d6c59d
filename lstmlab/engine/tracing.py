"""One run of a cell's `step` on symbols: its equations as SymPy expressions, and as LaTeX.

Applying sigmoid or tanh to something that holds a gate's pre-activation defines that gate; the
rest of the step then works with the gate's name, as the equations on paper do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from lstmlab.cells import Cell


class Sigmoid(sympy.Function):
    """The logistic function, left unevaluated."""


class Tanh(sympy.Function):
    """The hyperbolic tangent, left unevaluated."""


@dataclass(frozen=True)
class Trace:
    """A cell's step in symbols.

    Attributes:
        activations: gate -> its value after the nonlinearity, in terms of pre-activations
            (``i``), earlier gates (``i_t``), old states (``c_old``), new states (``c_t``) and vectors.
        states: state -> its new value in the same terms.
    """

    cell: type[Cell]
    activations: dict[str, sympy.Expr]
    states: dict[str, sympy.Expr]

    @property
    def equations(self) -> dict[str, sympy.Expr]:
        """All equations in an order in which they can be computed, the output last."""
        todo = self.activations | self.states
        done: dict[str, sympy.Expr] = {}
        while todo:
            ready = [k for k, e in todo.items() if not any(_new(o) in e.free_symbols for o in todo if o != k)]
            done |= {k: todo.pop(k) for k in ready}
        return done

    def latex(self) -> str:
        """Return the equations as one LaTeX ``aligned`` block."""
        printer = _Printer(self.cell)
        lines = [rf"{printer.doprint(_new(k))} &= {printer.doprint(e)}" for k, e in self.equations.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def trace(cell: type[Cell]) -> Trace:
    """Run ``cell.step`` once on symbols.

    Raises:
        TypeError: when the step uses an operation or a branch that symbols cannot follow.
    """
    recorder = _Recorder(cell.gates)
    gates = [_Term(sympy.Symbol(g), recorder) for g in cell.gates]
    parts = {k: _Term(_old(k) if k in cell.states else sympy.Symbol(k), recorder) for k in cell.keywords()}
    returned = cell().step(*gates, **parts)
    states = {name: term.expr for name, term in returned.items()}
    # The step knows a new state by its expression only; the equations should know it by name.
    for name in cell.states:
        expr = states[name]
        if not expr.is_Symbol:
            states = {k: e if k == name else e.subs(expr, _new(name)) for k, e in states.items()}
            recorder.activations = {k: e.subs(expr, _new(name)) for k, e in recorder.activations.items()}
    return Trace(cell, recorder.activations, states)


def _old(state: str) -> sympy.Symbol:
    return sympy.Symbol(f"{state}_old")


def _new(name: str) -> sympy.Symbol:
    return sympy.Symbol(f"{name}_t")


@dataclass
class _Recorder:
    gates: tuple[str, ...]
    activations: dict[str, sympy.Expr] = field(default_factory=dict)

    def apply(self, function: Any, expr: sympy.Expr) -> sympy.Expr:
        """Apply a nonlinearity; to a pre-activation plus anything else, it defines that gate."""
        raw = [g for g in self.gates if g not in self.activations and expr.diff(sympy.Symbol(g)) in (1, -1)]
        if len(raw) != 1:
            return function(expr)
        self.activations[raw[0]] = function(expr)
        return _new(raw[0])


class _Term:
    """A symbolic value that follows arithmetic, sigmoid and tanh, and refuses branches."""

    def __init__(self, expr: sympy.Expr, recorder: _Recorder) -> None:
        self.expr, self.recorder = expr, recorder

    def _make(self, expr: sympy.Expr) -> _Term:
        return _Term(expr, self.recorder)

    def __add__(self, other: Any) -> _Term:
        return self._make(self.expr + _expr(other))

    def __sub__(self, other: Any) -> _Term:
        return self._make(self.expr - _expr(other))

    def __rsub__(self, other: Any) -> _Term:
        return self._make(_expr(other) - self.expr)

    def __mul__(self, other: Any) -> _Term:
        return self._make(self.expr * _expr(other))

    def __truediv__(self, other: Any) -> _Term:
        return self._make(self.expr / _expr(other))

    def __rtruediv__(self, other: Any) -> _Term:
        return self._make(_expr(other) / self.expr)

    def __neg__(self) -> _Term:
        return self._make(-self.expr)

    __radd__, __rmul__ = __add__, __mul__

    def _refuse_branch(self, *_: object) -> Any:
        raise TypeError("a cell's step cannot branch on values: its equations must be the same for every input")

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse_branch
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise TypeError(f"a cell's step cannot use .{name}(): it may add, multiply, divide, and apply sigmoid and tanh")

    def sigmoid(self) -> _Term:
        return self._make(self.recorder.apply(Sigmoid, self.expr))

    def tanh(self) -> _Term:
        return self._make(self.recorder.apply(Tanh, self.expr))


def _expr(value: Any) -> sympy.Expr:
    return value.expr if isinstance(value, _Term) else sympy.sympify(value)


class _Printer(LatexPrinter):
    """Elementwise products as ⊙, in the order in which papers write them; pre-activations as affine maps."""

    def __init__(self, cell: type[Cell]) -> None:
        super().__init__()
        self.cell = cell

    def _print_Symbol(self, expr: sympy.Symbol, style: str = "plain") -> str:
        name = expr.name
        if name in self.cell.gates:
            return rf"W_{{{name}}} x_t + R_{{{name}}} h_{{t-1}} + b_{{{name}}}"
        base, _, index = name.rpartition("_")
        return rf"{base}_{{{'t-1' if index == 'old' else index}}}" if base else name

    def _print_Sigmoid(self, expr: Sigmoid) -> str:
        return rf"\sigma\left({self.doprint(expr.args[0])}\right)"

    def _print_Tanh(self, expr: Tanh) -> str:
        return rf"\tanh\left({self.doprint(expr.args[0])}\right)"

    def _print_Pow(self, expr: sympy.Pow) -> str:
        return rf"{self._factor(expr.base)}^{{{self.doprint(expr.exp)}}}"

    def _print_Mul(self, expr: sympy.Mul) -> str:
        shown = [self._factor(f) for f in sorted(expr.args, key=self._rank) if f != -1]
        return ("-" if -1 in expr.args else "") + r" \odot ".join(shown)

    def _print_Add(self, expr: sympy.Add, order: str | None = None) -> str:
        def first(term: sympy.Expr) -> tuple[bool, bool, bool]:
            """Affine maps, then numbers, then what looks back before what is new."""
            names = {str(s) for s in term.free_symbols}
            return (not names & {*self.cell.gates}, bool(names), not any(n.endswith("_old") for n in names))

        terms = [self.doprint(t) for t in sorted(expr.args, key=lambda t: (*first(t), *self._rank(t)))]
        return terms[0] + "".join(f" - {t[1:]}" if t.startswith("-") else f" + {t}" for t in terms[1:])

    def _factor(self, expr: sympy.Expr) -> str:
        text = self.doprint(expr)
        return rf"\left({text}\right)" if expr.is_Add or str(expr) in self.cell.gates else text

    def _rank(self, expr: sympy.Expr) -> tuple[bool, int, str]:
        """Sort key of factors: numbers, vectors, gates and states as declared, functions last."""
        declared = [*self.cell.vectors, *self.cell.gates, *self.cell.states]
        names = {str(s).removesuffix("_t").removesuffix("_old") for s in expr.free_symbols}
        first = min((declared.index(n) for n in names if n in declared), default=-1)
        return (bool(expr.is_Function), first, str(expr))

"""Equations that cannot be computed are refused when the cell is registered, with the cell, the line and the fix."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlab import registry
from lstmlab.cells import Cell, CellError, Graph, exp, maximum, relu, sigmoid, tanh
from lstmlab.registry import Registry

Make = Callable[[], type[Cell]]


def body(statement: Callable[..., Any]) -> Make:
    """Return a maker of a cell with gates f and g, state h and vector v whose new state is ``statement``."""

    class Bad(Cell):
        gates = ("f", "g")
        states = ("h",)
        vectors = ("v",)

        def step(self, f: Any, g: Any, *, h: Any, v: Any) -> dict[str, Any]:
            return {"h": f + g + v * h + statement(f, h)}

    return lambda: Bad


def declared(**attributes: Any) -> Make:
    """Return a maker of a sound cell but for the attributes."""

    class Bad(Cell):
        gates = ("f", "g")

        def step(self, f: Any, g: Any, *, c: Any) -> dict[str, Any]:
            c = sigmoid(f) * c + tanh(g)
            return {"h": tanh(c), "c": c}

    return lambda: type("Bad", (Bad,), {"gates": Bad.gates, **attributes})


def stepped(step: Callable[..., Any], **attributes: Any) -> Make:
    """Return a maker of a cell with gates f and g, states h and c, and this step."""
    return lambda: type("Bad", (Cell,), {"gates": ("f", "g"), "step": step, **attributes})


def branches(condition: Callable[[Any], Any]) -> Make:
    return body(lambda f, h: h if condition(f) else f)


REFUSED: dict[str, tuple[Make, str]] = {
    "undeclared name": (body(lambda f, h: forgotten * h), "'forgotten' is not defined: declare it as a gate"),  # noqa: F821
    "if on truth": (branches(lambda f: f), "branches on a value.*relu\\(\\) or maximum\\(\\)"),
    "if on comparison": (branches(lambda f: f > 0), "branches on a value"),
    "if on equality": (branches(lambda f: f == 0), "branches on a value"),
    "method without a rule": (body(lambda f, h: h.sqrt()), r"uses \.sqrt, for which there is no rule: write it with"),
    "power": (body(lambda f, h: h**2), "operator.* for which there is no rule: write it with"),
    "matrix product": (body(lambda f, h: h @ f), "operator.* for which there is no rule"),
    "index": (body(lambda f, h: h[0]), "for which there is no rule"),
    "built-in function": (body(lambda f, h: abs(h)), "for which there is no rule"),
    "loop": (body(lambda f, h: sum(h)), "for which there is no rule"),
    "foreign value": (body(lambda f, h: h * "2"), "uses a str in an equation"),
    "truth value": (body(lambda f, h: h * True), "uses a bool in an equation"),
    "error of its own": (body(lambda f, h: 1 / 0), "it raises ZeroDivisionError"),
    "function of a number": (body(lambda f, h: sigmoid(0.5)), "'float' object has no attribute 'sigmoid'"),
    "too few states": (
        stepped(lambda self, f, g, *, c: {"h": f + g + c}),
        r"returns \['h'\]: return a dict with exactly the states \['c', 'h'\]",
    ),
    "no dict": (stepped(lambda self, f, g: (f, g)), "returns tuple: return a dict"),
    "a number": (stepped(lambda self, f, g: {"h": f + g, "c": 1.0}), "the new c is 1.0: return a value computed"),
    "order of gates": (
        stepped(lambda self, g, f, *, c: {"h": f + g, "c": c}),
        r"step\('g', 'f'\) must take the gates \('f', 'g'\) first, in this order",
    ),
    "missing gate": (stepped(lambda self, f, *, c: {"h": f, "c": c}), r"step\('f',\) must take the gates"),
    "unknown keyword": (
        stepped(lambda self, f, g, *, v_1: {"h": f, "c": g * v_1}, vectors=("v_2",)),
        "step takes 'v_1', which is not a state or vector.*Did you mean 'v_2'",
    ),
    "norm without norm": (
        stepped(lambda self, f, g, *, c, norm_c: {"h": f + norm_c(c), "c": g}),
        "step takes 'norm_c', which is not a state or vector",
    ),
    "unused gate": (stepped(lambda self, f, g, *, c: {"h": f, "c": c}), "never use g: use them, or do not declare"),
    "unused vector": (declared(vectors=("v",)), "never use v:"),
    "unused norm": (
        stepped(lambda self, f, g, *, c, norm_c: {"h": f, "c": g + c}, norm="layer"),
        "never use norm_c:",
    ),
    "cancelled gate": (stepped(lambda self, f, g, *, c: {"h": f + 0 * g, "c": c}), "never use g:"),
    "no step": (lambda: type("Bad", (Cell,), {"gates": ("f",)}), "no equations: declare gates and define step"),
    "no gates": (lambda: type("Bad", (Cell,), {"states": ("h",), "step": lambda self: {}}), "declare gates"),
    "same name twice": (declared(states=("h", "c", "f")), "'f' is declared twice: rename one"),
    "no name": (declared(vectors=("p-i",)), "'p-i' is no Python name: rename it"),
    "name of a weight": (declared(vectors=("bias",)), "'bias' is named as the layer's own parameters are: rename it"),
    "no tuple": (declared(vectors="v"), r"vectors is 'v': make it a tuple of names"),
    "forget": (declared(forget={"k": 1.0}), "forget names 'k', which is not a gate.*Known: f, g"),
    "inputs": (declared(inputs=("f", "i")), "inputs names 'i', which is not a gate"),
    "no inputs": (declared(inputs=()), "none of its gates sees the input"),
    "inputs twice": (declared(inputs=("f", "f")), r"inputs is \('f', 'f'\): make it a tuple of gates.*each once"),
    "recurrent state": (declared(recurrent={"s": ("f",)}), "recurrent names 's', which is not a state"),
    "recurrent gate": (declared(recurrent={"c": ("f", "x")}), "recurrent feeds 'x', which is not a gate"),
    "recurrent text": (declared(recurrent={"c": "f"}), r"recurrent\['c'\] is 'f': make it a tuple"),
    "initial": (declared(initial={"m": 1.0}), "initial names 'm', which is not a state.*Known: h, c"),
    "norm": (declared(norm="group"), "norm is 'group': it may be 'layer', 'batch' or None"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_equations_are_refused_when_registered(make: Make, message: str) -> None:
    """The message says which cell, where, what is wrong and what to do; the registry stays as it was."""
    cells = Registry("cell")
    with pytest.raises(CellError, match=message) as refusal:
        cells("bad")(make())
    assert re.match(r"The cell Bad \(.+\.py:\d+\) cannot be used: .+\.$", str(refusal.value))
    assert "bad" not in cells._entries


SOURCE = """\
from lstmlab.cells import Cell, sigmoid, tanh
from lstmlab.registry import cell


@cell("bad")
class Bad(Cell):
    gates = ("f", "g"){attribute}

    def step(self, f, g, *, c):
        f = sigmoid(f)
        {line}
        return {{"h": tanh(c), "c": c}}
"""


@pytest.mark.parametrize(
    ("attribute", "line", "number"),
    [
        ("", "c = f * c + undeclared * tanh(g)", 11),
        ("", "c = f * c if f > 0.5 else tanh(g)", 11),
        ("", "c = f * c + (g**2)", 11),
        ("", "c = f * c", 9),
        ("; forget = {'k': 1.0}", "c = f * c + tanh(g)", 5),
    ],
    ids=["undeclared", "branch", "operation", "unused", "declaration"],
)
def test_a_plugin_with_bad_equations_is_left_out_with_the_line(
    tmp_path: Path, attribute: str, line: str, number: int
) -> None:
    """The line is that of the operation, or that of the step or class where no single operation is to blame."""
    file = tmp_path / "plugin.py"
    file.write_text(SOURCE.format(attribute=attribute, line=line))
    code = compile(file.read_text(), str(file), "exec")
    with pytest.raises(CellError, match=re.escape(f"{file}:{number})")) as refusal:
        import_as_module(code, file)
    assert "Bad" in str(refusal.value)
    assert "bad" not in registry.cell


def import_as_module(code: Any, file: Path) -> None:
    import sys
    from types import ModuleType

    module = ModuleType("bad_plugin")
    module.__file__ = str(file)
    sys.modules["bad_plugin"] = module  # where inspect looks for the file of a class
    try:
        exec(code, module.__dict__)
    finally:
        del sys.modules["bad_plugin"]


def test_equal_operations_are_one_node_and_exact_simplifications_are_made() -> None:
    """What equations share is computed once; adding 0 and multiplying by 0 or 1 costs nothing."""
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    assert sigmoid(x + y) is sigmoid(x + y)
    assert x + y is not y + x
    assert all(node is x for node in (x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1))
    assert (0 * x).value == 0
    assert (graph.constant(2) * 3 - 1).value == 5
    assert (0 - x).op == "sub"


def test_a_graph_is_evaluated_with_any_kind_of_value() -> None:
    """Only what the results need is computed, and with the rules that are given."""
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    wanted = maximum(2.0, relu(x) / 4)
    exp(y)  # not needed: there is no rule for it below, and no value
    rules = {"constant": float, "maximum": max, "relu": lambda v: max(v, 0), "div": lambda a, b: a / b}
    assert graph.evaluate([wanted, x], {"x": 12}, rules) == [3, 12]
    assert [n.op for n in graph.needed([wanted])] == ["input", "relu", "constant", "div", "constant", "maximum"]

"""A cell's equations as LaTeX: in the order in which their author wrote them, products as ⊙.

Pre-activations are shown as the affine maps that they are.
"""

from __future__ import annotations

from lstmlab.cells import Cell, Node

SUM, FACTOR = 0, 1  # how tightly a text holds together: a sum needs brackets within a product
FUNCTIONS = {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log_sigmoid": r"\log \sigma"}
NORMS = {"layer": r"\mathrm{LN}", "batch": r"\mathrm{BN}"}


def aligned(cell: type[Cell], nodes: dict[str, Node], gates: tuple[str, ...]) -> str:
    """Return one ``aligned`` block.

    Args:
        cell: whose equations.
        nodes: gate or state -> the node that computes it, in the order of the lines.
        gates: those of the names that are gates.
    """
    printer = _Printer(cell, nodes, gates)
    shown = [name for name in nodes if name not in printer.kept]
    lines = [rf"{printer.symbol(name, 't')} &= {printer.definition(name)}" for name in shown]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


class _Printer:
    def __init__(self, cell: type[Cell], nodes: dict[str, Node], gates: tuple[str, ...]) -> None:
        self.cell, self.nodes = cell, nodes
        own = {nodes[gate].index: gate for gate in gates}
        # A state that only carries a gate's value to the next step is shown as that gate's old value.
        self.kept = {s: own[nodes[s].index] for s in cell.states[1:] if nodes[s].index in own}
        self.names = {nodes[s].index: s for s in cell.states if nodes[s].args} | own

    def symbol(self, name: str, time: str) -> str:
        """Return a gate or state at a time, with its index if it has one."""
        stem, _, index = self.kept.get(name, name).partition("_")
        return rf"{stem}_{{{index}, {time}}}" if index else rf"{stem}_{{{time}}}"

    def definition(self, name: str) -> str:
        """Return the right-hand side of a name's equation."""
        node = self.nodes[name]
        owner = self.names.get(node.index, name)
        return self._text(node)[0] if owner == name else self.symbol(owner, "t")

    def _show(self, node: Node) -> tuple[str, int]:
        if node.index in self.names:
            return self.symbol(self.names[node.index], "t"), FACTOR
        return self._text(node)

    def _factor(self, node: Node) -> str:
        text, tightness = self._show(node)
        return text if tightness == FACTOR else rf"\left({text}\right)"

    def _text(self, node: Node) -> tuple[str, int]:
        """Return how a node is computed, and how tightly the text holds together."""
        if node.op == "input":
            return self._input(node.value)
        if node.op == "constant":
            return _number(node.value), FACTOR if node.value >= 0 else SUM
        x, y = node.args[0], node.args[-1]
        first, second = self._show(x)[0], self._show(y)[0]
        match node.op:
            case "add":
                return f"{first} - {second[1:]}" if second.startswith("-") else f"{first} + {second}", SUM
            case "sub":
                return f"{first} - {self._factor(y)}", SUM
            case "mul" if x.op == "constant" and x.value == -1:
                return f"-{self._factor(y)}", SUM
            case "mul":
                number, other = (y, x) if y.op == "constant" else (x, y)
                sign = r" \, " if number.op == "constant" else r" \odot "
                return f"{self._factor(number)}{sign}{self._factor(other)}", FACTOR
            case "div":
                return rf"\frac{{{first}}}{{{second}}}", FACTOR
            case "relu":
                return rf"\max\left(0, {first}\right)", FACTOR
            case "maximum":
                return rf"\max\left({first}, {second}\right)", FACTOR
        function = FUNCTIONS.get(node.op) or NORMS[str(self.cell.norm)]
        return rf"{function}\left({first}\right)", FACTOR

    def _input(self, name: str) -> tuple[str, int]:
        if name in self.cell.gates:
            return self._affine(name), SUM
        if name in self.cell.states:
            return self.symbol(name, "t-1"), FACTOR
        stem, _, index = name.partition("_")
        return rf"{stem}_{{{index}}}" if index else name, FACTOR

    def _affine(self, gate: str) -> str:
        """Return a pre-activation as the affine map that it is: of the input and of what feeds the gate."""
        terms = [("W", "", "x_t")] if gate in self.cell.inputs else []
        for state, fed in self.cell.recurrent.items():
            if gate in fed:
                index = "" if state == self.cell.states[0] else self.kept.get(state, state)
                terms.append(("R", index, self.symbol(state, "t-1")))
        return " + ".join([*(self._product(gate, *term) for term in terms), f"b_{{{gate}}}"])

    def _product(self, gate: str, matrix: str, index: str, factor: str) -> str:
        if self.cell.norm == "layer":  # over all gates together; this gate's part is taken afterwards
            matrix += f"_{{{index}}}" if index else ""
            return rf"{NORMS['layer']}\left({matrix} {factor}\right)_{{{gate}}}"
        product = rf"{matrix}_{{{gate}, {index}}} {factor}" if index else rf"{matrix}_{{{gate}}} {factor}"
        return rf"{NORMS['batch']}\left({product}\right)" if self.cell.norm == "batch" else product


def _number(value: float) -> str:
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    if not exponent:
        return mantissa
    power = f"10^{{{int(exponent)}}}"
    return {"1": power, "-1": f"-{power}"}.get(mantissa, rf"{mantissa} \cdot {power}")

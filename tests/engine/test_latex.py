"""What a reader is shown are the paper's equations."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from latex2mathml.converter import convert
from own_cells import OWN, Everything, MinimalGated, WrittenOut

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.engine.tracing import trace

registered = [registry.cell.get(name) for name in registry.cell]
every_cell = pytest.mark.parametrize("cell", [*registered, *OWN], ids=lambda cell: cell.__name__)


def affine(gate: str) -> str:
    return f"W_{{{gate}}} x_t + R_{{{gate}}} h_{{t-1}} + b_{{{gate}}}"


# In the notation of the paper, but for names of gates and for the place of the bias.
EQUATIONS = {
    "vanilla": [
        rf"i_{{t}} &= \sigma\left({affine('i')}\right)",
        rf"f_{{t}} &= \sigma\left({affine('f')}\right)",
        rf"g_{{t}} &= \tanh\left({affine('g')}\right)",
        rf"o_{{t}} &= \sigma\left({affine('o')}\right)",
        r"c_{t} &= f_{t} \odot c_{t-1} + i_{t} \odot g_{t}",
        r"h_{t} &= o_{t} \odot \tanh\left(c_{t}\right)",
    ],
    "peephole": [
        rf"i_{{t}} &= \sigma\left({affine('i')} + p_{{i}} \odot c_{{t-1}}\right)",
        rf"f_{{t}} &= \sigma\left({affine('f')} + p_{{f}} \odot c_{{t-1}}\right)",
        rf"o_{{t}} &= \sigma\left({affine('o')} + p_{{o}} \odot c_{{t}}\right)",
    ],
    "coupled": [r"c_{t} &= \left(1 - i_{t}\right) \odot c_{t-1} + i_{t} \odot g_{t}"],
    "nig": [r"c_{t} &= f_{t} \odot c_{t-1} + g_{t}"],
    "nfg": [r"c_{t} &= c_{t-1} + i_{t} \odot g_{t}"],
    "nog": [r"h_{t} &= \tanh\left(c_{t}\right)"],
    "niaf": [rf"c_{{t}} &= f_{{t}} \odot c_{{t-1}} + i_{{t}} \odot \left({affine('g')}\right)"],
    "noaf": [r"h_{t} &= o_{t} \odot c_{t}"],
    "np": [rf"o_{{t}} &= \sigma\left({affine('o')}\right)"],
    "cifg": [
        r"c_{t} &= \left(1 - i_{t}\right) \odot c_{t-1} + i_{t} \odot g_{t}",
        rf"i_{{t}} &= \sigma\left({affine('i')} + p_{{i}} \odot c_{{t-1}}\right)",
    ],
    "fgr": [
        r"f_{t} &= \sigma\left(W_{f} x_t + R_{f} h_{t-1} + R_{f, i} i_{t-1} + R_{f, f} f_{t-1} "
        r"+ R_{f, o} o_{t-1} + b_{f} + p_{f} \odot c_{t-1}\right)",
        rf"g_{{t}} &= \tanh\left({affine('g')}\right)",
    ],
    "gru": [
        r"n_{t} &= \tanh\left(W_{n} x_t + b_{n} + r_{t} \odot \left(R_{m} h_{t-1} + b_{m}\right)\right)",
        r"h_{t} &= \left(1 - z_{t}\right) \odot n_{t} + z_{t} \odot h_{t-1}",
    ],
    "janet": [
        rf"h_{{t}} &= f_{{t}} \odot h_{{t-1}} + \left(1 - \sigma\left({affine('f')} - 1\right)\right) \odot g_{{t}}"
    ],
    "minlstm": [
        r"i_{t} &= \sigma\left(W_{i} x_t + b_{i}\right)",
        r"\frac{f_{t}}{\max\left(f_{t} + i_{t}, 10^{-30}\right)} \odot h_{t-1}",
    ],
    "mingru": [r"h_{t} &= \left(1 - z_{t}\right) \odot h_{t-1} + z_{t} \odot \left(W_{g} x_t + b_{g}\right)"],
    "slstm": [
        rf"m_{{t}} &= \max\left(\log \sigma\left({affine('f')}\right) + m_{{t-1}}, {affine('i')}\right)",
        rf"i_{{t}} &= \exp\left({affine('i')} - m_{{t}}\right)",
        rf"f_{{t}} &= \exp\left(\log \sigma\left({affine('f')}\right) + m_{{t-1}} - m_{{t}}\right)",
        r"n_{t} &= f_{t} \odot n_{t-1} + i_{t}",
        r"h_{t} &= o_{t} \odot \frac{c_{t}}{\max\left(n_{t}, 10^{-30}\right)}",
    ],
    "layernorm": [
        r"\mathrm{LN}\left(W x_t\right)_{o} + \mathrm{LN}\left(R h_{t-1}\right)_{o} + b_{o}",
        r"h_{t} &= o_{t} \odot \tanh\left(\mathrm{LN}\left(c_{t}\right)\right)",
    ],
    "batchnorm": [
        r"\mathrm{BN}\left(W_{o} x_t\right) + \mathrm{BN}\left(R_{o} h_{t-1}\right) + b_{o}",
        r"h_{t} &= o_{t} \odot \tanh\left(\mathrm{BN}\left(c_{t}\right)\right)",
    ],
}


@pytest.mark.parametrize("cell", list(registry.cell))
def test_latex_is_the_papers_equation(cell: str) -> None:
    """What distinguishes each cell is in its LaTeX."""
    latex = trace(registry.cell.get(cell)).latex()
    for piece in EQUATIONS.get(cell, []):
        assert piece in latex


def test_latex_has_nothing_that_a_cell_has_not() -> None:
    """Only cells with a forget gate mention one, and only cells with peepholes mention those."""
    latex = {name: trace(registry.cell.get(name)).latex() for name in EQUATIONS}
    without_forget = {"coupled", "nfg", "cifg", "gru", "mingru"}
    assert {name for name, text in latex.items() if not re.search(r"[Wf]_\{?[ft]\}? (x_t|&=)", text)} == without_forget
    peepholes = {"peephole", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr"}
    assert {name for name, text in latex.items() if "p_{" in text} == peepholes


@every_cell
def test_latex_becomes_aligned_mathml(cell: type[Cell]) -> None:
    """Each line is a row of a MathML table, and no alignment mark is left as text."""
    latex = trace(cell).latex()
    tree = ElementTree.fromstring(convert(latex.replace("{aligned}", "{align*}")))
    rows = [e for e in tree.iter() if e.tag.endswith("mtr")]
    assert len(rows) == latex.count("&=")
    assert "&" not in "".join(tree.itertext())


@every_cell
def test_every_symbol_is_explained(cell: type[Cell]) -> None:
    """Each gate and state at time t that stands on a right-hand side has an equation."""
    lines = [line.split("&=") for line in trace(cell).latex().splitlines() if "&=" in line]
    left = {name.strip() for name, _ in lines}
    assert len(left) == len(lines)
    right = {name for _, text in lines for name in re.findall(r"[a-z]+_\{(?:\w+, )?t\}", text)}
    assert right <= left


def test_latex_keeps_signs_brackets_and_numbers() -> None:
    """A minus before a pre-activation is shown, and what is subtracted or multiplied stays together."""
    assert re.search(r"\\sigma\\left\(-\\left\(W", trace(WrittenOut).latex())
    latex = trace(Everything).latex()
    for piece in [
        r"s_{0, t} &= -\frac{s_{0, t-1} - 0.5 \, a_{t}}{2 + k_{t}}",
        r"k_{t} &= \sigma\left(1 - \left(R_{k} y_{t-1} + R_{k, s_0} s_{0, t-1} + b_{k}\right)\right)",
        r"y_{t-1} - \left(a_{t} + ",
        r"\max\left(0, W_{b} x_t + R_{b, s_0} s_{0, t-1} + b_{b}\right) - \max\left(0.25, -\left(W_{b} x_t",
        r"\tanh\left(W_{a} x_t + R_{a} y_{t-1} + b_{a} - v\right)",
    ]:
        assert piece in latex


def test_latex_shows_a_vector_without_index_by_its_name() -> None:
    """A vector may have a plain name, which is then no subscript of nothing."""
    assert re.search(r"(?<!_{)scale", trace(WrittenOut).latex())


@pytest.mark.parametrize(
    ("number", "shown"), [(2.0, "2"), (0.5, "0.5"), (1e-8, "10^{-8}"), (-2.5e9, r"- 2.5 \cdot 10^{9}")]
)
def test_numbers_are_written_as_people_do(number: float, shown: str) -> None:
    class Scaled(MinimalGated):
        def step(self, f: Any, g: Any, *, h: Any) -> dict[str, Any]:
            return {"h": f * h + (number + g)}

    assert rf"{shown} + W_{{g}} x_t" in trace(Scaled).latex()

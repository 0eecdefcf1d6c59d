"""Figures of models that read text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VISIBLE = {
    " ": "\N{OPEN BOX}",
    "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}",
    "\r": "\N{SYMBOL FOR CARRIAGE RETURN}",
    "\t": "\N{RIGHTWARDS ARROW TO BAR}",
}


def draw_surprise(
    ax: Axes, symbols: Sequence[str], bits: Mapping[str, np.ndarray], colours: Mapping[str, Any], unit: str
) -> None:
    """Draw how many bits (n,) each model needed for each symbol; ``unit`` is "characters" or "words"."""
    x = np.arange(len(symbols))
    for name, cost in bits.items():
        ax.step(x, cost, where="mid", color=colours[name], lw=1.5, label=name)
    ax.set_xticks(x, ["".join(VISIBLE.get(c, c) for c in (s.strip(" ") or s)) for s in symbols], parse_math=False)
    ax.tick_params(axis="x", length=0, labelsize=7, rotation=60 if unit == "words" else 0)
    ax.set_ylabel("surprise (bit)")
    ax.set_xlabel(f"{unit.removesuffix('s')} to be predicted")

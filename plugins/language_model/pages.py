"""Text as a report shows it: what models write, what surprises them, what a unit follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

LEVELS = 8  # shades
SURPRISE = (230, 97, 1)  # orange
ABOVE, BELOW = (230, 97, 1), (94, 60, 153)  # orange and purple: apart for colour-blind eyes too
BLOCK = "white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace;font-size:12px;line-height:1.5"
PAPER = f"{BLOCK};color:#222;background:#fff;margin:2px 0 12px;padding:6px 8px;border:1px solid #ddd"


def samples(prompt: str, texts: Mapping[str, str], colours: Mapping[str, Any]) -> Any:
    """Return a page: for each name how the text goes on, after what all were given, in grey."""
    given = f'<span style="color:#767676">{visible(prompt)}</span>'
    return _page({name: given + visible(text) for name, text in texts.items()}, colours)


def surprises(symbols: Sequence[str], bits: Mapping[str, np.ndarray], colours: Mapping[str, Any]) -> Any:
    """Return a page: a passage for each name, the darker the more bits (n,) a symbol cost; full at the 98 % point."""
    most = max(float(np.quantile(np.concatenate(list(bits.values())), 0.98)), 1e-9)
    blocks = {name: shaded(symbols, cost / most, SURPRISE, SURPRISE) for name, cost in bits.items()}
    legend = f"white: 0 bit; darkest: {most:.1f} bit and more"
    means = {name: f"{name} (mean of this passage: {cost.mean():.2f} bit)" for name, cost in bits.items()}
    return _page(blocks, colours, means, legend)


def activations(
    symbols: Sequence[str], values: Mapping[str, np.ndarray], titles: Mapping[str, str], colours: Mapping[str, Any]
) -> Any:
    """Return a page: a passage for each name, coloured by what a unit (n,) gives after each symbol."""
    blocks = {name: shaded(symbols, v / max(float(np.abs(v).max()), 1e-9), ABOVE, BELOW) for name, v in values.items()}
    return _page(blocks, colours, titles, "orange: above 0; purple: below; full at the unit's largest value here")


def shaded(symbols: Sequence[str], shares: np.ndarray, above: tuple[int, int, int], below: tuple[int, int, int]) -> str:
    """Return symbols on shades of two colours by shares from -1 to 1; neighbours of one shade share a span."""
    levels = np.clip(np.rint(shares * LEVELS), -LEVELS, LEVELS).astype(int)
    starts = np.flatnonzero(np.diff(levels, prepend=levels[0] - 1))
    parts = []
    for start, end in zip(starts, [*starts[1:], len(levels)], strict=True):
        level = levels[start]
        colour = ",".join(map(str, above if level > 0 else below))
        text = visible("".join(symbols[start:end]))
        parts.append(
            f'<span style="background:rgba({colour},{0.75 * abs(level) / LEVELS:.2f})">{text}</span>' if level else text
        )
    return "".join(parts)


def visible(text: str) -> str:
    """Return text as HTML that shows every line end, and control characters as their pictures."""
    shown = text.replace("\r\n", "\n")
    shown = "".join(chr(0x2400 + ord(c)) if ord(c) < 32 and c not in "\n\t" else c for c in shown)
    return escape(shown).replace("\n", '<span style="color:#999">\N{PILCROW SIGN}</span>\n')


def _page(
    blocks: Mapping[str, str], colours: Mapping[str, Any], titles: Mapping[str, str] | None = None, legend: str = ""
) -> Any:
    from IPython.display import HTML
    from matplotlib.colors import to_hex

    parts = [f'<p style="margin:0 0 6px;font-size:12px">{escape(legend)}</p>'] if legend else []
    for name, block in blocks.items():
        colour = to_hex(colours[name])
        title = escape((titles or {}).get(name, name))
        parts.append(f'<div style="font-weight:bold;font-size:12px;color:{colour}">{title}</div>')
        parts.append(f'<div style="{PAPER};border-left:4px solid {colour}">{block}</div>')
    return HTML("".join(parts))

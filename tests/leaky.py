"""A plugin with a cell of its own, which no file of conf describes."""

from __future__ import annotations

from pathlib import Path

CELL = '''
"""A cell from outside."""
from lstmlab import Cell, cell, sigmoid, tanh

@cell("leaky")
class Leaky(Cell):
    """One gate that leaks."""
    gates = ("f", "g")
    states = ("h",)

    def step(self, f, g, *, h):
        f = sigmoid(f)
        return {"h": f * h + (1 - f) * tanh(g)}
'''


def write_plugin(root: Path, name: str, text: str) -> None:
    folder = root / "plugins" / name
    folder.mkdir(parents=True)
    (folder / "plugin.py").write_text(text)

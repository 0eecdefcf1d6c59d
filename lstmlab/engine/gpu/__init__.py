"""The fused recurrence on a GPU: Triton kernels from a cell's equations, in captured CUDA graphs.

`code` writes the kernels of one step, `build` makes a module of them, `loops` goes through the
steps, `graphs` captures and replays them, and `operators` computes whole passes. Triton is
imported when a cell's kernels are loaded.
"""

from __future__ import annotations

import importlib.util
import os

import torch

from lstmlab.cells import Cell
from lstmlab.engine import fused
from lstmlab.engine.compiler import CompilerError
from lstmlab.engine.gpu import build, operators
from lstmlab.memo import constant

fused.register("cuda", operators.forward, operators.backward)


@constant
def missing_for(cell: type[Cell]) -> str:
    """Return what this machine lacks for the kernels of a cell, in words; empty if nothing."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "TRITON_INTERPRET=1 has Triton's kernels interpreted, not compiled"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; `pip install 'lstmlab[gpu]'` brings it"
    try:
        build.load(cell)
    except CompilerError as error:
        return str(error)
    return ""

"""The fused recurrence on a GPU: Triton kernels from a cell's equations, in captured CUDA graphs.

`code` writes the kernels of one step, `loops` goes through the steps, `graphs` captures and
replays them, and `operators` computes whole passes; Triton is imported when a kernel is loaded.
"""

from __future__ import annotations

import importlib.util
import os

import torch


def missing() -> str:
    """Return what this machine lacks for kernels on a GPU, in words; empty if nothing."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; `pip install 'lstmlab[gpu]'` brings it"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "TRITON_INTERPRET=1 lets Triton interpret its kernels on the CPU"
    return ""

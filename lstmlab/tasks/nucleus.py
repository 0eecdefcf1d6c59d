"""Nucleus sampling: Holtzman et al. (2020), The Curious Case of Neural Text Degeneration, arXiv:1904.09751."""

from __future__ import annotations

import torch
from torch import Tensor


def likeliest(logits: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Return probabilities (..., symbols), largest first, and whose they are.

    Those beyond the most probable symbols that together have ``top_p`` are zero, and the others sum to one.
    """
    p, order = torch.softmax(logits, -1).sort(dim=-1, descending=True, stable=True)
    p = torch.where(p.cumsum(-1) - p < top_p, p, 0.0)
    return p / p.sum(-1, keepdim=True), order

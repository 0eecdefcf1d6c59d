"""Writing on: symbols that are drawn from a model one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks.nucleus import likeliest

from .scoring import Read

ROWS = 256  # texts that are gone on with side by side


@torch.no_grad()
def draw(
    model: nn.Module, read: Tensor, state: Any, length: int, temperature: float, top_p: float, seed: int, first: int = 0
) -> np.ndarray:
    """Return ``length`` symbols (rows, length) after those that are read; the unknown symbol 0 is never drawn.

    Args:
        model: called as ``model(symbols, state)``; its last answer is for the next symbol.
        read: symbols (rows, time), at least one.
        state: before them.
        length: symbols to draw for each row.
        temperature: logits are divided by it: below 1 is more certain.
        top_p: only the most probable symbols count that together have this probability (Holtzman et al. 2020,
            arXiv:1904.09751); 1: all.
        seed: the same seed gives the same symbols; each row has random numbers of its own.
        first: number of the first row.
    """
    luck = np.stack([np.random.default_rng([seed, first + row]).random(length) for row in range(len(read))])
    drawn = np.zeros((len(read), length), np.int64)
    for at in range(length):
        output, state = model(read, state)
        p, order = kept(output[:, -1].double(), temperature, top_p)
        chosen = (p.cumsum(1) <= torch.from_numpy(luck[:, at, None])).sum(1, keepdim=True)
        last = (p > 0).sum(1, keepdim=True) - 1  # rounding may leave the sum below 1
        read = order.gather(1, torch.minimum(chosen, last))
        drawn[:, at] = read[:, 0].numpy()
    return drawn


def draw_after(
    model: nn.Module, reads: Sequence[Read], length: int, temperature: float, top_p: float, seed: int
) -> Iterator[np.ndarray]:
    """Yield ``length`` symbols (length,) after each part that has been read, drawn as `draw` does."""
    for first in range(0, len(reads), ROWS):
        some = reads[first : first + ROWS]
        state = _side_by_side([part.state for part in some])
        yield from draw(model, torch.cat([r.last for r in some]), state, length, temperature, top_p, seed, first)


def kept(logits: Tensor, temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """Return probabilities, largest first, and whose they are; those that ``top_p`` leaves out are 0."""
    logits = logits - logits[:, 1:].max(1, keepdim=True).values  # so that no temperature overflows
    logits[:, 0] = -torch.inf
    return likeliest(logits / temperature, top_p)


def _side_by_side(states: Sequence[Any]) -> Any:
    """Return states (layers, 1, units) of single rows as those (layers, rows, units) of a batch."""
    if isinstance(states[0], Tensor):
        return torch.cat(list(states), 1)
    return tuple(_side_by_side(parts) for parts in zip(*states, strict=True))

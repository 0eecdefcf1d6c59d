"""Reading text in parts, with what each symbol costs and the state after each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

LONGEST = 2000  # symbols that are read at once: the answers to a very long line would not fit into memory


class Read(NamedTuple):
    """A part that a model has read.

    Attributes:
        nats: what each of its symbols cost (n,), given all before.
        last: its last symbol (1, 1), which is yet to be read.
        state: for what comes next.
    """

    nats: np.ndarray
    last: Tensor
    state: Any


@torch.no_grad()
def score(model: nn.Module, before: np.ndarray, parts: Sequence[np.ndarray]) -> list[Read]:
    """Return what each part cost; the state goes on from part to part.

    Args:
        model: called as ``model(symbols, state)``.
        before: symbols (n,) that are given and cost nothing, at least one.
        parts: symbols of each, at least one.
    """
    state: Any = None
    if len(before) > 1:
        _, state = model(torch.from_numpy(before[:-1])[None], None)
    last, found = torch.from_numpy(before[-1:])[None], []
    for part in parts:
        nats = []
        for piece in torch.from_numpy(part).split(LONGEST):
            output, state = model(torch.cat([last, piece[None, :-1]], 1), state)
            last = piece[None, -1:]
            nats.append(nn.functional.cross_entropy(output[0], piece, reduction="none"))
        found.append(Read(torch.cat(nats).double().numpy(), last, state))
    return found

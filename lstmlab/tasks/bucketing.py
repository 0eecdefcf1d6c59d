"""Sequences of similar length side by side, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

POOL = 20  # batches whose sequences are sorted by length together: little padding, yet another order each epoch


def by_length(
    lengths: Sequence[int], batch_size: int, random: np.random.Generator | None = None, pool: int = POOL
) -> list[list[int]]:
    """Return the indices of sequences in batches of similar length.

    Args:
        lengths: of all sequences.
        batch_size: sequences in a batch; the last may have fewer.
        random: shuffles neighbours and batches; without it sequences are sorted by length throughout.
        pool: batches whose sequences are sorted together; more of them leave less padding where lengths differ much.
    """
    order = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    together = len(lengths) if random is None else batch_size * pool
    pools = [order[at : at + together] for at in range(0, len(order), together)]
    ordered = [i for p in pools for i in sorted(p.tolist(), key=lambda i: -lengths[i])]
    batches = [ordered[at : at + batch_size] for at in range(0, len(ordered), batch_size)]
    return batches if random is None else [batches[i] for i in random.permutation(len(batches))]


def padded_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """Return which part of all steps that ``batches`` make is padding, 0 to 1."""
    made = sum(len(rows) * max(lengths[i] for i in rows) for rows in batches)
    return 1 - sum(lengths[i] for rows in batches for i in rows) / made


def pad(sequences: Sequence[np.ndarray], value: float = 0) -> tuple[Tensor, Tensor]:
    """Return sequences as one tensor (batch, longest, ...), ``value`` where they have ended, and their lengths."""
    rows = [torch.from_numpy(np.ascontiguousarray(s)) for s in sequences]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    return padded, torch.tensor([len(s) for s in sequences])


def within(lengths: Tensor, steps: int) -> Tensor:
    """Return (batch, steps) booleans: the steps that belong to a sequence."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]

"""What a caller hands to the layer, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import dropout

from lstmlab.engine.recurrence import alive


def time_first(input: Tensor, batch_first: bool) -> tuple[Tensor, bool]:
    """Return the input as (time, batch, features), and whether it had a batch dimension."""
    if input.dim() not in (2, 3):
        raise ValueError(f"input must have 2 or 3 dimensions, not {input.dim()}")
    batched = input.dim() == 3
    x = input if batched else input.unsqueeze(1)
    if batched and batch_first:
        x = x.transpose(0, 1)
    if x.shape[0] == 0:
        raise ValueError("input must have at least one step")
    return x, batched


def check_features(x: Tensor, input_size: int, dtype: torch.dtype) -> None:
    """Refuse an input with another number of features, or of another type than the weights."""
    if x.shape[2] != input_size:
        raise ValueError(f"input must have {input_size} features per step, not {x.shape[2]}")
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"input must be {dtype} as the weights are, not {x.dtype}")


def check_lengths(lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
    """Return the lengths as a tensor (batch,), or None where every sequence is full."""
    if lengths is None:
        return None
    steps, batch, _ = x.shape
    ends = torch.as_tensor(lengths)
    if ends.shape != (batch,):
        raise ValueError(f"lengths must have shape ({batch},), not {tuple(ends.shape)}")
    whole = not (ends.is_floating_point() or ends.dtype == torch.bool)
    if whole and torch.compiler.is_compiling():
        return ends.to(x.device, torch.int64)  # a compiled graph cannot look at values to refuse them
    if not whole or (ends < 0).any() or (ends > steps).any():
        raise ValueError(f"lengths must be whole numbers from 0 to {steps}, not {ends.tolist()}")
    return None if (ends == steps).all() else ends.to(x.device, torch.int64)


def check_resets(resets: Tensor | None, x: Tensor, batch_first: bool) -> Tensor | None:
    """Return the resets as (time, batch)."""
    if resets is None:
        return None
    given = resets.t() if batch_first and resets.dim() == 2 else resets
    given = given.unsqueeze(1) if given.dim() == 1 and x.shape[1] == 1 else given
    if given.shape != x.shape[:2] or given.dtype != torch.bool:
        wanted = (x.shape[1], x.shape[0]) if batch_first else tuple(x.shape[:2])
        raise ValueError(f"resets must be booleans of shape {wanted}, not {resets.dtype} {tuple(resets.shape)}")
    return given


def towards(resets: Tensor | None, reverse: bool) -> Tensor | None:
    """Return the resets as a pass in that direction meets them.

    A boundary before step t is, from the end, a boundary before step t - 1.
    """
    if resets is None or not reverse:
        return resets
    return torch.cat([resets[1:], torch.zeros_like(resets[:1])])


def blank_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the input with zeros in place of what follows each sequence's end."""
    return torch.where(alive(lengths, x), x, 0)


def drop(x: Tensor, probability: float, variational: bool, first: bool) -> Tensor:
    """Apply dropout to a layer's input, (time, batch, features).

    Per step and between layers only, or, if ``variational``, with one mask for all steps and
    before the first layer too.
    """
    if not probability or (first and not variational):
        return x
    if variational:
        return x * dropout(x.new_ones(x.shape[1:]), probability)
    return dropout(x, probability)

"""Normalisation inside a recurrence: over units, or over the batch with statistics of each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

EPSILON = 1e-5


class LayerNorm(nn.Module):
    """Normalise each row over its units.

    Ba, Kiros and Hinton (2016), Layer Normalization, https://arxiv.org/abs/1607.06450.

    Args:
        features: units per row.
        shift: learn a shift as well as a gain.
    """

    def __init__(self, features: int, shift: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features)) if shift else None

    def reset_parameters(self) -> None:
        """Gain one, shift zero."""
        nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, value: Tensor, step: int, rows: Tensor | None = None) -> Tensor:
        """Normalise (batch, features)."""
        return layer_norm(value, value.shape[-1:], self.weight, self.bias, EPSILON)


class StepBatchNorm(nn.Module):
    """Normalise each unit over the batch, with statistics of its own for each time step.

    Cooijmans, Ballas, Laurent, Gulcehre and Courville (2016), Recurrent Batch Normalization,
    https://arxiv.org/abs/1603.09025: the gain starts at 0.1, because at 1 the gradients vanish in
    the tanh; statistics per step, because activations differ much in the first steps. In
    evaluation, a step past the longest training sequence uses the statistics of the last one.

    Args:
        features: units per row.
        shift: learn a shift as well as a gain.
        momentum: weight of a new batch in the running statistics.
    """

    GAIN = 0.1
    running_mean: Tensor  # (steps seen in training, features)
    running_var: Tensor

    def __init__(self, features: int, shift: bool, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.full((features,), self.GAIN))
        self.bias = nn.Parameter(torch.zeros(features)) if shift else None
        self.register_buffer("running_mean", torch.zeros(0, features))
        self.register_buffer("running_var", torch.ones(0, features))

    def reset_parameters(self) -> None:
        """Gain 0.1, shift zero, no statistics."""
        nn.init.constant_(self.weight, self.GAIN)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.running_mean, self.running_var = self.running_mean[:0], self.running_var[:0]

    def forward(self, value: Tensor, step: int, rows: Tensor | None = None) -> Tensor:
        """Normalise (batch, features); ``rows`` (batch,) tells which rows count."""
        if self.training:
            counted = value if rows is None else value[rows]
            if len(counted) < 2:  # one row has no spread: what it would be divided by is its own noise
                mean, var = self._statistics(step, value)
            else:
                mean, var = counted.mean(0), counted.var(0, unbiased=False)
                self._record(
                    step, mean.detach().to(self.running_mean.dtype), counted.detach().var(0).to(self.running_var.dtype)
                )
        else:
            mean, var = self._statistics(step, value)
        normal = (value - mean) * torch.rsqrt(var + EPSILON) * self.weight
        return normal if self.bias is None else normal + self.bias

    def _statistics(self, step: int, like: Tensor) -> tuple[Tensor, Tensor]:
        if not len(self.running_mean):
            return like.new_zeros(like.shape[-1]), like.new_ones(like.shape[-1])
        at = min(step, len(self.running_mean) - 1)
        return self.running_mean[at], self.running_var[at]

    @torch.no_grad()
    def _record(self, step: int, mean: Tensor, var: Tensor) -> None:
        more = step + 1 - len(self.running_mean)
        if more > 0:
            self.running_mean = torch.cat([self.running_mean, mean.expand(more, -1)])
            self.running_var = torch.cat([self.running_var, var.expand(more, -1)])
        self.running_mean[step].lerp_(mean, self.momentum)
        self.running_var[step].lerp_(var, self.momentum)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take over statistics of however many steps were stored."""
        for name in ("running_mean", "running_var"):
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.shape[1:] == getattr(self, name).shape[1:]:
                setattr(self, name, torch.empty_like(stored, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


NORMS: dict[str | None, type[LayerNorm] | type[StepBatchNorm]] = {"layer": LayerNorm, "batch": StepBatchNorm}

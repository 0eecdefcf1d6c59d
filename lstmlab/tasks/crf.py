"""Linear-chain conditional random fields: the best sequence of tags rather than the best tag at each step.

Lafferty, McCallum and Pereira (2001), Conditional Random Fields, ICML; on top of a recurrence as in Lample et
al. (2016), https://arxiv.org/abs/1603.01360.

All that a chain needs is in its potentials (batch, time, tags, tags): entry ``[b, t, i, j]`` is the log weight of
tag ``j`` at step ``t`` after tag ``i``. Nothing precedes the first step: of its rows ``i`` only the first counts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lstmlab.tasks.bucketing import within

IMPOSSIBLE = -1e4  # log weight of what may not be; infinite ones would make gradients NaN


class Transitions(nn.Module):
    """Weights of tags that follow one another, and of those that begin and end a sequence.

    Args:
        allowed: booleans (tags, tags): may the tag of a column follow that of a row?
        first: booleans (tags,): may a sequence begin with the tag?
    """

    def __init__(self, allowed: Tensor, first: Tensor) -> None:
        super().__init__()
        self.register_buffer("allowed", allowed, persistent=False)
        self.register_buffer("may_begin", first, persistent=False)
        self.between = nn.Parameter(torch.zeros(allowed.shape))
        self.first = nn.Parameter(torch.zeros(len(first)))
        self.last = nn.Parameter(torch.zeros(len(first)))

    allowed: Tensor
    may_begin: Tensor

    def forward(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the potentials (batch, time, tags, tags) of a score (batch, time, tags) for each tag at each step."""
        batch, steps, _ = scores.shape
        ends = torch.full((batch,), steps, device=scores.device) if lengths is None else lengths
        at_end = torch.arange(steps, device=scores.device) == ends[:, None] - 1
        scores = scores + at_end[:, :, None] * self.last
        between = self.between.masked_fill(~self.allowed, IMPOSSIBLE)
        first = self.first.masked_fill(~self.may_begin, IMPOSSIBLE).expand_as(between)
        before = torch.cat([first[None], between.expand(steps - 1, -1, -1)])
        return scores[:, :, None, :] + before


def _closed(potentials: Tensor, lengths: Tensor) -> Tensor:
    """Return potentials that let each tag follow itself alone, at no cost, where a sequence has ended."""
    tags = potentials.shape[-1]
    stay = torch.full((tags, tags), IMPOSSIBLE).fill_diagonal_(0).to(potentials)
    return torch.where(within(lengths, potentials.shape[1])[:, :, None, None], potentials, stay)


class _LogPartition(torch.autograd.Function):
    """The forward algorithm; the gradient is that of the forward-backward algorithm, the pairwise marginals."""

    @staticmethod
    def forward(ctx, potentials: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        steps = potentials.unbind(1)
        alphas = [steps[0][:, 0]]
        for step in steps[1:]:
            alphas.append(torch.logsumexp(alphas[-1][:, :, None] + step, 1))
        total = torch.logsumexp(alphas[-1], 1)
        ctx.save_for_backward(potentials, torch.stack(alphas, 1), total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        potentials, alphas, total = ctx.saved_tensors
        betas = [torch.zeros_like(alphas[:, 0])]
        for step in reversed(potentials.unbind(1)[1:]):
            betas.append(torch.logsumexp(step + betas[-1][:, None, :], 2))
        beta = torch.stack(betas[::-1], 1) - total[:, None, None]
        pairs = torch.zeros_like(potentials)
        pairs[:, 1:] = (alphas[:, :-1, :, None] + potentials[:, 1:] + beta[:, 1:, None, :]).exp()
        pairs[:, 0, 0] = (alphas[:, 0] + beta[:, 0]).exp()
        return pairs * gradient[:, None, None, None]


_log_partition: Callable[[Tensor], Tensor] = _LogPartition.apply


def log_partition(potentials: Tensor, lengths: Tensor) -> Tensor:
    """Return the log of the summed weight (batch,) of all sequences of tags.

    Args:
        potentials: (batch, time, tags, tags).
        lengths: (batch,), steps of each sequence, at least 1.
    """
    return _log_partition(_closed(potentials, lengths))


def log_weight(potentials: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """Return the log weight (batch,) of sequences ``tags`` (batch, time); what stands after their ends is ignored."""
    real = within(lengths, tags.shape[1])
    tags = torch.where(real, tags, 0)
    before = nn.functional.pad(tags[:, :-1], (1, 0))  # the first row of the first step is the one that counts
    count = potentials.shape[-1]
    each = potentials.flatten(2).gather(2, (before * count + tags)[:, :, None])[:, :, 0]
    return torch.where(real, each, 0).sum(1)


@torch.no_grad()
def viterbi(potentials: Tensor, lengths: Tensor) -> Tensor:
    """Return the heaviest sequence of tags (batch, time) of each row, -1 after its end (Viterbi 1967)."""
    steps = _closed(potentials, lengths).unbind(1)
    best, choices = steps[0][:, 0], []
    for step in steps[1:]:
        best, choice = (best[:, :, None] + step).max(1)
        choices.append(choice)
    path = [best.argmax(1)]
    for choice in reversed(choices):
        path.append(choice.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1).masked_fill(~within(lengths, len(steps)), -1)


def marginals(potentials: Tensor, lengths: Tensor) -> Tensor:
    """Return how probable each tag is at each step (batch, time, tags), given the whole sequence; 0 after its end."""
    with torch.enable_grad():
        given = potentials.detach().requires_grad_()
        (pairs,) = torch.autograd.grad(log_partition(given, lengths).sum(), given)
    return pairs.sum(2)

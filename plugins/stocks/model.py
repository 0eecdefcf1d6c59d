"""The model: a recurrence that corrects a simple forecast of the variance, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lstmlab.engine import RNN

MEAN, LOG_VARIANCE, TAIL = 0, 1, 2  # of the output; the mean is in units of the deviation


class MeanAndVariance(nn.Module):
    """Read the features of days, and answer at each with mean, log-variance and tail of the next return.

    The logarithm of HAR's forecast is the first feature. What the head says of the variance is added to it, and
    the head begins at zero: the model starts at HAR with a mean of zero, and learns where to leave them.

    Args:
        rnn: the recurrence.
        centre: mean of the first feature over train, before it was scaled.
        spread: its standard deviation.
    """

    def __init__(self, rnn: RNN, centre: float, spread: float) -> None:
        super().__init__()
        self.rnn, self.centre, self.spread = rnn, centre, spread
        self.head = nn.Linear(rnn.hidden_size, 2)
        self.tail = nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, object]:
        """Map (batch, days, features) to (batch, days, 3)."""
        output, state = self.rnn(inputs, state, lengths)
        mean, change = self.head(output).unbind(-1)
        log_variance = inputs[..., 0] * self.spread + self.centre + change
        tail = 2 + 4 * torch.exp(self.tail)  # degrees of freedom: 6 at first, and what weight decay draws to
        return torch.stack([mean, log_variance, tail.expand_as(mean)], -1), state


def loss(output: Tensor, targets: Tensor) -> Tensor:
    """Return QLIKE plus the negative log-likelihood of the return under a Student's t of the forecast variance.

    The second term teaches mean and tail only: the variance learns from the proxy, which is less noisy
    than a squared return.

    Args:
        output: (batch, days, 3) of the model.
        targets: (batch, days, 2), return and proxy of the variance.
    """
    log_variance, tail = output[..., LOG_VARIANCE], output[..., TAIL]
    qlike = log_variance + targets[..., 1] * torch.exp(-log_variance)
    surprise = targets[..., 0] * torch.exp(-log_variance.detach() / 2) - output[..., MEAN]
    likelihood = (
        torch.lgamma((tail + 1) / 2)
        - torch.lgamma(tail / 2)
        - torch.log(tail - 2) / 2
        - (tail + 1) / 2 * torch.log1p(surprise**2 / (tail - 2))
    )
    return torch.mean(qlike - likelihood)

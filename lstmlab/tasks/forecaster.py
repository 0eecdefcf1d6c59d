"""The forecasting model: one recurrence over the past and the future, and a way around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lstmlab.engine import RNN


class Forecaster(nn.Module):
    """Read a window and what is known of the future; answer quantiles for each step ahead.

    The recurrence reads the window and goes on over the steps ahead, with what is known of them: the
    calendar, planned variables, and the reference forecasts. A head at each step ahead, and one at the last
    step seen, add up; their sum corrects a mixture of the reference forecasts that is learnt for each step,
    and starts as the first of them. That way around the recurrence is the autoregressive highway of LSTNet
    (Lai et al. 2018, https://arxiv.org/abs/1703.07015). Quantiles are sorted, so they never cross.

    Args:
        rnn: batch first; its inputs end with the reference forecasts and a mark of the steps ahead.
        horizon: steps ahead.
        levels: how many quantiles.
        references: how many reference forecasts the inputs hold.
    """

    def __init__(self, rnn: RNN, horizon: int, levels: int, references: int) -> None:
        super().__init__()
        self.rnn, self.horizon, self.levels = rnn, horizon, levels
        self.here = nn.Linear(rnn.output_size, levels)
        self.all = nn.Linear(rnn.output_size, horizon * levels)
        self.mixture = nn.Parameter(torch.zeros(horizon, references))
        with torch.no_grad():
            self.mixture[:, :1] = 1
        for head in (self.here, self.all):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, inputs: Tensor, state: object = None, lengths: Tensor | None = None) -> tuple[Tensor, object]:
        """Map (batch, window + horizon, features) to (batch, horizon, levels)."""
        output, state = self.rnn(inputs, state, lengths)
        now = output[:, -self.horizon - 1]
        correction = self.here(output[:, -self.horizon :]) + self.all(now).unflatten(1, (self.horizon, self.levels))
        references = inputs[:, -self.horizon :, -1 - self.mixture.shape[1] : -1]
        leaning = (references * self.mixture).sum(-1, keepdim=True)
        return (leaning + correction).sort(-1).values, state

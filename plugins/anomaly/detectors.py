"""Two networks that know normal behaviour: one forecasts it, one reconstructs it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from lstmlab.tasks.task import MakeRNN

AT_ONCE = 1024  # windows that a pass scores together


class Detector(nn.Module):
    """A network with errors to judge by, and what errors are normal for it.

    The first input feature is the value. The buffers are filled from errors on normal data that no weight was
    fitted to; they are saved with the weights, since they belong to them.

    Attributes:
        spread: root mean square of each component of the error, for each series (series, components).
        reference: errors of the normal data of each series, in spreads (series, time), padded with zeros.
        threshold: the score above which there is an alarm.
    """

    lag: int  # values before the first that has an error
    headline: slice  # the components of an error that stand for it in tables
    spread: Tensor
    reference: Tensor
    threshold: Tensor

    def __init__(self, components: int, series: int, longest: int) -> None:
        super().__init__()
        self.register_buffer("spread", torch.ones(series, components))
        self.register_buffer("reference", torch.zeros(series, longest))
        self.register_buffer("threshold", torch.zeros(()))

    @abstractmethod
    def errors(self, inputs: Tensor, start: int) -> Tensor:
        """Return the errors (time - start, components) of the values of one series (time, features) from ``start`` on.

        ``start`` is at least `lag`. No error depends on a later value.
        """


class Forecaster(Detector):
    """Forecast the next values at every step, as changes from the last one.

    Malhotra et al. (2015), Long Short Term Memory Networks for Anomaly Detection in Time Series, ESANN: a value
    is judged by the errors of all forecasts that were made of it, 1 to ``horizon`` steps before.
    """

    headline = slice(1)  # one step ahead

    def __init__(self, make_rnn: MakeRNN, features: int, horizon: int, series: int, longest: int) -> None:
        super().__init__(horizon, series, longest)
        self.rnn = make_rnn(features)
        self.head = nn.Linear(self.rnn.hidden_size, horizon)
        self.horizon = self.lag = horizon

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, time, features) to the forecasts (batch, time, horizon) made at each step."""
        output, state = self.rnn(inputs, state, lengths)
        return inputs[..., :1] + self.head(output), state

    @torch.no_grad()
    def errors(self, inputs: Tensor, start: int) -> Tensor:
        """Return the errors of the forecasts of each value, made 1 to ``horizon`` steps before it."""
        forecasts, values = self(inputs[None])[0][0], inputs[:, 0]
        made = [forecasts[start - 1 - k : len(values) - 1 - k, k] for k in range(self.horizon)]
        return values[start:, None] - torch.stack(made, dim=1)


class Autoencoder(Detector):
    """Read a window, less its mean, into a state, then write it from there, last value first.

    Malhotra et al. (2016), LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection,
    https://arxiv.org/abs/1607.00148. The decoder sees the calendar, never a value. A value is judged by
    the window that ends with it.
    """

    headline = slice(None)

    def __init__(self, make_rnn: MakeRNN, features: int, window: int, series: int, longest: int) -> None:
        super().__init__(window, series, longest)
        self.rnn = make_rnn(features)  # the encoder
        self.decoder = make_rnn(features)
        self.head = nn.Linear(self.rnn.hidden_size, 1)
        self.window, self.lag = window, window - 1

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, window, features) to the reconstructed values (batch, window)."""
        level = inputs[..., :1].mean(1, keepdim=True)
        _, state = self.rnn(torch.cat([inputs[..., :1] - level, inputs[..., 1:]], dim=2), state, lengths)
        blind = torch.cat([torch.zeros_like(inputs[..., :1]), inputs[..., 1:]], dim=2).flip(1)
        output, state = self.decoder(blind, state)
        return (level + self.head(output).flip(1))[..., 0], state

    @torch.no_grad()
    def errors(self, inputs: Tensor, start: int) -> Tensor:
        """Return the errors of the reconstruction of the window that ends with each value."""
        windows = inputs[start - self.lag :].unfold(0, self.window, 1).transpose(1, 2)
        return torch.cat([part[..., 0] - self(part)[0] for part in windows.split(AT_ONCE)])

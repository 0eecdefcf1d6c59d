"""From torch's own layers to `RNN`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lstmlab.engine.layer import RNN


def from_torch(module: nn.LSTM | nn.GRU) -> RNN:
    """Return an `RNN` with the weights, device, dtype, options and mode of ``module``.

    torch keeps two biases per gate that, but for the GRU's candidate, only ever act as their
    sum; that sum is our bias.

    Raises:
        ValueError: for anything but ``nn.LSTM`` and ``nn.GRU``.
    """
    if not isinstance(module, nn.LSTM | nn.GRU):
        raise ValueError(f"from_torch takes nn.LSTM or nn.GRU, not {type(module).__name__}")
    rnn = RNN(
        "vanilla" if isinstance(module, nn.LSTM) else "gru",
        module.input_size,
        module.hidden_size,
        module.num_layers,
        module.bidirectional,
        module.batch_first,
        module.dropout,
        proj_size=module.proj_size,
    ).to(next(module.parameters()))
    theirs = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in rnn.named_parameters():
            if name.startswith("weight"):
                parameter.copy_(theirs[name])
            elif not module.bias:
                parameter.zero_()
            else:
                end = name.removeprefix("bias")
                parameter.copy_(_join(theirs[f"bias_ih{end}"], theirs[f"bias_hh{end}"], isinstance(module, nn.GRU)))
    return rnn.train(module.training)


def _join(ih: Tensor, hh: Tensor, gru: bool) -> Tensor:
    if not gru:
        return ih + hh
    shared = (ih + hh).chunk(3)[:2]
    return torch.cat([*shared, ih.chunk(3)[2], hh.chunk(3)[2]])

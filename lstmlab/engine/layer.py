"""`RNN`: any cell behind the interface of ``torch.nn.LSTM``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.engine.reference import recur

States = Tensor | tuple[Tensor, ...]


class Weights(NamedTuple):
    """Parameters of one layer in one direction, gates in the cell's order along the first axis."""

    ih: Tensor  # (gates * hidden, features)
    hh: Tensor  # (gates * hidden, hidden)
    bias: Tensor  # (gates * hidden,)
    vectors: dict[str, Tensor]  # (hidden,) each


class RNN(nn.Module):
    """A stack of recurrent layers of one cell, called as ``nn.LSTM`` is.

    Args:
        cell: a registered name, or a `Cell` class.
        input_size: features per step.
        hidden_size: units per layer and direction.
        num_layers: layers stacked on one another.
        bidirectional: run a second recurrence from the end and concatenate both outputs.
        batch_first: input and output are (batch, time, features) instead of (time, batch, features).
        dropout: probability of dropping an output between layers (training only).
        forget_bias: initial bias of the forget gate; 1.0 is the usual choice (Gers et al. 2000,
            Jozefowicz et al. 2015). For ``coupled``, whose stored gate is i = 1 - f, the bias of i
            starts at ``-forget_bias``, which is the same.

    Shapes: input (T, B, I), unbatched (T, I), or packed; states (num_layers * directions, B, H)
    in the cell's order, ``(h, c)`` for LSTMs; output (T, B, directions * H).

    Weights start uniform in ±1/sqrt(hidden_size), biases at zero except the forget gate's.

    >>> rnn = RNN("peephole", input_size=3, hidden_size=8, batch_first=True)
    >>> output, (h, c) = rnn(torch.zeros(2, 5, 3), lengths=[5, 4])
    >>> output.shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value in {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
        }.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.cell: Cell = (registry.cell.get(cell) if isinstance(cell, str) else cell)()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.batch_first, self.dropout = bidirectional, batch_first, dropout
        self.forget_bias = forget_bias
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        width = len(self.cell.gates) * hidden_size
        for layer in range(num_layers):
            features = input_size if layer == 0 else hidden_size * len(self._suffixes)
            for suffix in self._suffixes:
                end = f"_l{layer}{suffix}"
                self.register_parameter(f"weight_ih{end}", nn.Parameter(torch.empty(width, features)))
                self.register_parameter(f"weight_hh{end}", nn.Parameter(torch.empty(width, hidden_size)))
                self.register_parameter(f"bias{end}", nn.Parameter(torch.empty(width)))
                for vector in self.cell.vectors:
                    self.register_parameter(f"{vector}{end}", nn.Parameter(torch.empty(hidden_size)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                with torch.no_grad():
                    for gate, sign in self.cell.forget.items():
                        at = self.cell.gates.index(gate) * self.hidden_size
                        parameter[at : at + self.hidden_size] = sign * self.forget_bias
            else:
                nn.init.uniform_(parameter, -bound, bound)

    def weights(self, layer: int = 0, direction: int = 0) -> Weights:
        """Return the parameters of one layer in one direction (0 forward, 1 backward)."""
        end = f"_l{layer}{self._suffixes[direction]}"
        return Weights(
            ih=getattr(self, f"weight_ih{end}"),
            hh=getattr(self, f"weight_hh{end}"),
            bias=getattr(self, f"bias{end}"),
            vectors={v: getattr(self, f"{v}{end}") for v in self.cell.vectors},
        )

    @classmethod
    def from_torch(cls, lstm: nn.LSTM) -> RNN:
        """Return a vanilla `RNN` with the weights, device, dtype and mode of ``lstm``.

        torch keeps two biases per gate that only ever act as their sum; that sum is our bias.

        Raises:
            ValueError: for ``proj_size``, which this layer does not have.
        """
        if lstm.proj_size:
            raise ValueError("nn.LSTM with proj_size cannot be converted: RNN has no projection")
        rnn = cls(
            "vanilla",
            lstm.input_size,
            lstm.hidden_size,
            lstm.num_layers,
            lstm.bidirectional,
            lstm.batch_first,
            lstm.dropout,
        ).to(next(lstm.parameters()))
        theirs = dict(lstm.named_parameters())
        with torch.no_grad():
            for name, parameter in rnn.named_parameters():
                if name.startswith("weight"):
                    parameter.copy_(theirs[name])
                elif lstm.bias:
                    end = name.removeprefix("bias")
                    parameter.copy_(theirs[f"bias_ih{end}"] + theirs[f"bias_hh{end}"])
                else:
                    parameter.zero_()
        return rnn.train(lstm.training)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, States]:
        """Return the outputs of the last layer and the final states of all layers.

        Args:
            input: a batch, one sequence without batch dimension, or a packed sequence.
            hx: initial states as the call returns them; zeros if None.
            lengths: (batch,), steps that belong to each sequence, 0 to T. Later steps change
                nothing, and the output is zero there.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("a packed sequence brings its own lengths: leave lengths out")
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"input must have 2 or 3 dimensions, not {input.dim()}")
        batched = input.dim() == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        if x.shape[0] == 0:
            raise ValueError("input must have at least one step")
        mask = self._mask(lengths, x)
        output, finals = self._run_layers(x, self._initial(hx, x, batched), mask)
        if not batched:
            output, finals = output.squeeze(1), tuple(s.squeeze(1) for s in finals)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, self._pack_states(finals)

    def _forward_packed(self, packed: PackedSequence, hx: States | None) -> tuple[PackedSequence, States]:
        data, batch_sizes, order, back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        states = self._initial(hx, x, batched=True)
        if order is not None:
            states = tuple(s.index_select(1, order) for s in states)
        output, finals = self._run_layers(x, states, self._mask(lengths, x))
        if back is not None:
            finals = tuple(s.index_select(1, back) for s in finals)
        data = pack_padded_sequence(output, lengths).data
        return PackedSequence(data, batch_sizes, order, back), self._pack_states(finals)

    def _run_layers(
        self, x: Tensor, states: tuple[Tensor, ...], mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if x.shape[2] != self.input_size:
            raise ValueError(f"input must have {self.input_size} features per step, not {x.shape[2]}")
        if mask is not None:
            x = torch.where(mask, x, 0)  # whatever padding holds, NaN too, must not reach a gradient
        finals = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(len(self._suffixes)):
                weights = self.weights(layer, direction)
                at = layer * len(self._suffixes) + direction
                output, final = recur(
                    self.cell,
                    nn.functional.linear(x, weights.ih, weights.bias),
                    weights.hh,
                    weights.vectors,
                    tuple(s[at] for s in states),
                    mask,
                    reverse=direction == 1,
                )
                outputs.append(output)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return x, tuple(torch.stack(s) for s in zip(*finals, strict=True))

    def _initial(self, hx: States | None, x: Tensor, batched: bool) -> tuple[Tensor, ...]:
        shape = (self.num_layers * len(self._suffixes), x.shape[1], self.hidden_size)
        if hx is None:
            return (x.new_zeros(shape),) * len(self.cell.states)
        states = hx if isinstance(hx, tuple | list) else (hx,)
        if len(states) != len(self.cell.states):
            raise ValueError(f"hx must hold the states {self.cell.states}, not {len(states)} tensor(s)")
        states = tuple(states) if batched else tuple(s.unsqueeze(1) for s in states)
        for name, state in zip(self.cell.states, states, strict=True):
            if state.shape != shape:
                raise ValueError(f"initial state {name} must have shape {shape}, not {tuple(state.shape)}")
        return states

    def _mask(self, lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        steps, batch, _ = x.shape
        ends = torch.as_tensor(lengths)
        if ends.shape != (batch,):
            raise ValueError(f"lengths must have shape ({batch},), not {tuple(ends.shape)}")
        whole = not (ends.is_floating_point() or ends.dtype == torch.bool)
        if not whole or (ends < 0).any() or (ends > steps).any():
            raise ValueError(f"lengths must be whole numbers from 0 to {steps}, not {ends.tolist()}")
        if (ends == steps).all():
            return None
        return torch.arange(steps, device=x.device)[:, None, None] < ends.to(x.device)[None, :, None]

    def _pack_states(self, states: tuple[Tensor, ...]) -> States:
        return states if len(states) > 1 else states[0]

    def extra_repr(self) -> str:
        """Show what distinguishes this layer when a model is printed."""
        return (
            f"{self.cell.__class__.__name__.lower()}, {self.input_size}, {self.hidden_size}, "
            f"num_layers={self.num_layers}, bidirectional={self.bidirectional}"
        )

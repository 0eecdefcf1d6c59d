"""`RNN`: any cell behind the interface of ``torch.nn.LSTM``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.engine import dispatch, inputs, parameters
from lstmlab.engine.recurrence import Recurrence, Weights, alive

States = Tensor | tuple[Tensor, ...]


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
        proj_size: project the output to this many features before it feeds back; 0 for none
            (Sak et al. 2014, https://arxiv.org/abs/1402.1128).
        variational: `dropout` draws one mask per sequence, the same at all steps, and is applied
            to the input of the first layer too (Gal and Ghahramani 2016, https://arxiv.org/abs/1512.05287).
        recurrent_dropout: probability of dropping a unit of the output where it feeds back, one
            mask per sequence (the same paper).
        zoneout: probability that a unit keeps its old value for a step, for all states or by
            state, ``{"c": 0.5, "h": 0.05}`` (Krueger et al. 2017, https://arxiv.org/abs/1606.01305).
        weight_drop: probability of dropping a weight of the recurrent matrix, one mask per call
            (Merity et al. 2018, https://arxiv.org/abs/1708.02182).
        learn_initial: the states that a sequence starts from are parameters.
        checkpoint_every: keep for the backward pass only the states of every so many steps, and
            compute the steps between anew; None keeps all.
        engine: "auto" takes the fastest path that this machine has for the cell, "reference" plain
            PyTorch; "fused" is an error where there is no fused path.

    Shapes: input (T, B, I), unbatched (T, I), or packed; states (num_layers * directions, B, H)
    in the cell's order, ``(h, c)`` for LSTMs, with proj_size instead of H for the output; output
    (T, B, directions * H).

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
        *,
        proj_size: int = 0,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        weight_drop: float = 0.0,
        learn_initial: bool = False,
        checkpoint_every: int | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        self.cell: Cell = (registry.cell.get(cell) if isinstance(cell, str) else cell)()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.batch_first, self.dropout = bidirectional, batch_first, dropout
        self.forget_bias, self.proj_size, self.variational = forget_bias, proj_size, variational
        self.recurrent_dropout, self.weight_drop = recurrent_dropout, weight_drop
        self.zoneout = dict(zoneout) if isinstance(zoneout, Mapping) else dict.fromkeys(self.cell.states, zoneout)
        self.learn_initial, self.checkpoint_every, self.engine = learn_initial, checkpoint_every, engine
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        parameters.check(self)
        dispatch.check(self)
        for layer in range(num_layers):
            for suffix in self.suffixes:
                parameters.add(self, f"_l{layer}{suffix}", self.layer_input(layer))
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Features of the output per direction: proj_size, or hidden_size without projection."""
        return self.proj_size or self.hidden_size

    def layer_input(self, layer: int) -> int:
        """Return the features that a layer takes per step."""
        return self.output_size * len(self.suffixes) if layer else self.input_size

    def width(self, state: str) -> int:
        """Return the features of a state."""
        return self.output_size if state == self.cell.states[0] else self.hidden_size

    def reset_parameters(self) -> None:
        """Draw the initial weights anew."""
        parameters.reset(self)

    def weights(self, layer: int = 0, direction: int = 0) -> Weights:
        """Return the parameters of one layer in one direction (0 forward, 1 backward)."""
        return parameters.collect(self, f"_l{layer}{self.suffixes[direction]}")

    @classmethod
    def from_torch(cls, module: nn.LSTM | nn.GRU) -> RNN:
        """Return an `RNN` that computes what ``module`` does; see `lstmlab.engine.convert`."""
        from lstmlab.engine.convert import from_torch

        return from_torch(module)

    def to_onnx(self, path: str | Path) -> None:
        """Write this layer as standard ONNX operators; see `lstmlab.engine.onnx_export`."""
        from lstmlab.engine.onnx_export import write

        write(self, path)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, States]:
        """Return the outputs of the last layer and the final states of all layers.

        Args:
            input: a batch, one sequence without batch dimension, or a packed sequence.
            hx: initial states as the call returns them; if None those of the cell, mostly zero.
            lengths: (batch,), steps that belong to each sequence, 0 to T. Later steps change
                nothing, and the output is zero there.
            resets: booleans in the layout of the input without its features; where True, the
                sequence starts anew before that step, from the states of ``hx=None``.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None or resets is not None:
                raise ValueError("a packed sequence brings its own lengths: leave lengths and resets out")
            return self._forward_packed(input, hx)
        x, batched = inputs.time_first(input, self.batch_first)
        ends = inputs.check_lengths(lengths, x)
        anew = inputs.check_resets(resets, x, self.batch_first and batched)
        output, finals = self._run_layers(x, self._initial(hx, x, batched), ends, anew)
        if not batched:
            output, finals = output.squeeze(1), tuple(s.squeeze(1) for s in finals)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, finals if len(finals) > 1 else finals[0]

    def _forward_packed(self, packed: PackedSequence, hx: States | None) -> tuple[PackedSequence, States]:
        data, batch_sizes, order, back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        states = self._initial(hx, x, batched=True)
        if order is not None and states is not None:
            states = tuple(s.index_select(1, order) for s in states)
        output, finals = self._run_layers(x, states, inputs.check_lengths(lengths, x), None)
        if back is not None:
            finals = tuple(s.index_select(1, back) for s in finals)
        data = pack_padded_sequence(output, lengths).data
        return PackedSequence(data, batch_sizes, order, back), finals if len(finals) > 1 else finals[0]

    def _run_layers(
        self, x: Tensor, states: tuple[Tensor, ...] | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs.check_features(x, self.input_size, self.weights().bias.dtype)
        if lengths is not None:
            x = inputs.blank_padding(x, lengths)  # whatever it holds, NaN too, must not reach a gradient
            resets = None if resets is None else resets & alive(lengths, x)[:, :, 0]
        starts = self._starts(x)
        fresh = states is None and not self.learn_initial
        states = starts if states is None else states
        finals = []
        for layer in range(self.num_layers):
            x = inputs.drop(x, self.dropout if self.training else 0.0, self.variational, first=layer == 0)
            outputs = []
            for direction in range(len(self.suffixes)):
                at = layer * len(self.suffixes) + direction
                r = Recurrence(
                    self.cell,
                    x,
                    self._thinned(self.weights(layer, direction)),
                    tuple(s[at] for s in states),
                    tuple(s[at] for s in starts),
                    lengths,
                    inputs.towards(resets, direction == 1),
                    self._feedback_mask(x),
                    self._zones(x),
                    direction == 1,
                    fresh,
                )
                output, final = dispatch.recur(r, self.engine, self.checkpoint_every)
                outputs.append(output)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return x, tuple(torch.stack(s) for s in zip(*finals, strict=True))

    def _starts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the states of ``hx=None``: (num_layers * directions, batch, width) each."""
        count, batch = self.num_layers * len(self.suffixes), x.shape[1]
        if self.learn_initial:
            ends = [f"_l{layer}{s}" for layer in range(self.num_layers) for s in self.suffixes]
            learnt = [torch.stack([getattr(self, f"initial_{k}{e}") for e in ends]) for k in self.cell.states]
            return tuple(s[:, None].expand(-1, batch, -1) for s in learnt)
        dtype = self.weights().bias.dtype
        return tuple(
            x.new_full((count, batch, self.width(k)), self.cell.initial.get(k, 0.0), dtype=dtype)
            for k in self.cell.states
        )

    def _initial(self, hx: States | None, x: Tensor, batched: bool) -> tuple[Tensor, ...] | None:
        if hx is None:
            return None
        states = hx if isinstance(hx, tuple | list) else (hx,)
        if len(states) != len(self.cell.states):
            raise ValueError(f"hx must hold the states {self.cell.states}, not {len(states)} tensor(s)")
        states = tuple(states) if batched else tuple(s.unsqueeze(1) for s in states)
        for name, state in zip(self.cell.states, states, strict=True):
            shape = (self.num_layers * len(self.suffixes), x.shape[1], self.width(name))
            if state.shape != shape:
                raise ValueError(f"initial state {name} must have shape {shape}, not {tuple(state.shape)}")
        return states

    def _thinned(self, weights: Weights) -> Weights:
        return parameters.thin(weights, self.weight_drop) if self.training and self.weight_drop else weights

    def _feedback_mask(self, x: Tensor) -> Tensor | None:
        if not (self.training and self.recurrent_dropout):
            return None
        ones = x.new_ones(x.shape[1], self.output_size)
        return nn.functional.dropout(ones, self.recurrent_dropout)

    def _zones(self, x: Tensor) -> dict[str, Tensor | float]:
        """Return what share of its old value each state keeps: drawn in training, its mean in evaluation."""
        kept = {k: p for k, p in self.zoneout.items() if p}
        if not self.training:
            return dict(kept)
        steps, batch, _ = x.shape
        drawn = {k: x.new_empty(steps, batch, self.width(k), dtype=self.weights().bias.dtype) for k in kept}
        return {k: drawn[k].bernoulli_(p) for k, p in kept.items()}

    def extra_repr(self) -> str:
        """Show what distinguishes this layer when a model is printed."""
        return (
            f"{self.cell.__class__.__name__.lower()}, {self.input_size}, {self.hidden_size}, "
            f"num_layers={self.num_layers}, bidirectional={self.bidirectional}"
        )

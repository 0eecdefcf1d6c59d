"""Checks of how a cell treats sequences: each for itself, in time's order, with nothing kept between calls."""

from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor

from lstmlab.engine import RNN
from lstmlab.testing._cell import BATCH, FEATURES, HIDDEN, STACKED, STEPS, CellSubject
from lstmlab.testing._contract import expect
from lstmlab.testing.parity import each_alone, results, states_of

NOTHING_KEPT = "keep nothing in the cell or outside between steps: what a step needs of the past must be a state"
ROWS = "compute each row of the batch from its own values only (no mean over the first dimension)"
LENGTHS = [2, 5, 0]


def lengths_are_respected(subject: CellSubject) -> None:
    """In a batch with lengths, each sequence gives what it gives alone and without padding."""
    for options in ({}, STACKED):
        rnn, x = subject.layer(**options), subject.inputs()
        hx = states_of(rnn, BATCH)
        found, alone = results(rnn, x, hx, LENGTHS), each_alone(rnn, x, hx, LENGTHS)
        expect(_close(found, alone), "a sequence of a batch with lengths gives other numbers than alone", ROWS)


def padding_changes_nothing(subject: CellSubject) -> None:
    """What stands after a sequence's end changes nothing, and the output is zero there."""
    rnn, x = subject.layer(**STACKED), subject.inputs()
    padding = torch.arange(STEPS)[:, None] >= torch.tensor(LENGTHS)
    clean, filled = (results(rnn, torch.where(padding[:, :, None], v, x), None, LENGTHS) for v in (0.0, 1e6))
    expect(_close(filled, clean) and not filled[0][padding].any(), "padding changes outputs or states", NOTHING_KEPT)


def no_leak_from_the_future(subject: CellSubject) -> None:
    """Other inputs after a step change no output up to it."""
    rnn, x = subject.layer(num_layers=2), subject.inputs()
    before = results(rnn, x)[0]
    for t in range(STEPS - 1):
        after = results(rnn, torch.cat([x[: t + 1], -3 * x[t + 1 :]]))[0]
        expect(_close(after[: t + 1], before[: t + 1]), f"inputs after step {t} change outputs up to it", NOTHING_KEPT)


def resets_start_anew(subject: CellSubject) -> str | None:
    """After a reset, a sequence goes on as if it began there."""
    if subject.cell.norm == "batch":
        return "batch norm has statistics for each step since the beginning"
    rnn, x = subject.layer(), subject.inputs()
    resets = torch.zeros(x.shape[:2], dtype=torch.bool)
    resets[2, 1] = True
    found = results(rnn, x, None, None, resets)[0]
    parts = torch.cat([results(rnn, x[:2, 1:2])[0], results(rnn, x[2:, 1:2])[0]])
    expect(_close(found[:, 1:2], parts), "after a reset a sequence differs from a new one", NOTHING_KEPT)
    expect(_close(found[:, ::2], results(rnn, x[:, ::2])[0]), "a reset of one row changes other rows", ROWS)
    return None


def state_goes_on(subject: CellSubject) -> str | None:
    """Two halves, with the state handed from one to the other, give what the whole gives."""
    if subject.cell.norm == "batch":
        return "batch norm has statistics for each step since the beginning"
    rnn, x = subject.layer(num_layers=2), subject.inputs()
    whole, first = results(rnn, x), results(rnn, x[:2])
    second = results(rnn, x[2:], first[1:])
    joined = (torch.cat([first[0], second[0]]), *second[1:])
    expect(_close(joined, whole), "two halves with the state handed on differ from the whole", NOTHING_KEPT)
    return None


def rows_are_independent(subject: CellSubject) -> None:
    """Other values in one row of a batch change no other row; batch norm: in evaluation."""
    rnn, x = subject.layer(**STACKED), subject.inputs()
    other = torch.cat([x[:, :1], -3 * x[:, 1:]], 1)
    expect(_close(results(rnn, x)[0][:, :1], results(rnn, other)[0][:, :1]), "rows of a batch mix", ROWS)


def layers_and_directions_stack(subject: CellSubject) -> None:
    """Two layers in both directions have the right shapes, and backwards is forwards on the reversed input."""
    found = results(subject.layer(**STACKED), subject.inputs())
    shapes = [tuple(t.shape) for t in found]
    expected = [(STEPS, BATCH, 2 * HIDDEN), *[(4, BATCH, HIDDEN)] * len(subject.cell.states)]
    expect(shapes == expected, f"output and states have shapes {shapes}", f"they are to be {expected}")
    both, one = subject.layer(bidirectional=True), RNN(subject.cell, FEATURES, HIDDEN, engine="reference").double()
    own = {k.replace("_reverse", ""): v for k, v in both.state_dict().items() if "_reverse" in k}
    if subject.cell.norm == "batch":  # a layer takes statistics of as many steps as it has seen
        one(subject.inputs())
    one.load_state_dict(own)
    one.train(both.training)
    x = subject.inputs()
    backward, flipped = results(both, x)[0][:, :, HIDDEN:], results(one, x.flip(0))[0].flip(0)
    expect(_close(backward, flipped), "the backward direction differs from forwards on reversed input", NOTHING_KEPT)


def weights_round_trip(subject: CellSubject) -> None:
    """Weights written to a file and read into a new layer give the same numbers, to the last bit."""
    rnn, x = subject.layer(**STACKED), subject.inputs()
    expected = results(rnn, x)
    other = RNN(subject.cell, FEATURES, HIDDEN, engine="reference", **STACKED).double()
    other.load_state_dict(load(save(dict(rnn.state_dict()))))
    other.train(rnn.training)
    found = results(other, x)
    equal = all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    expect(equal, "a layer with the same weights gives other numbers", f"make every weight a vector; {NOTHING_KEPT}")


def _close(a: Tensor | tuple[Tensor, ...], b: Tensor | tuple[Tensor, ...]) -> bool:
    """Return whether two results agree but for the order of sums."""
    pairs = [(a, b)] if isinstance(a, Tensor) else list(zip(a, b, strict=True))
    return all(torch.allclose(x, y, rtol=1e-7, atol=1e-9) for x, y in pairs)  # type: ignore[arg-type]

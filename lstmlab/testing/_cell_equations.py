"""Checks of a cell's equations: shapes, gradients, parity of engines, what it costs and how it is shown."""

from __future__ import annotations

from xml.etree import ElementTree

import torch
from latex2mathml.converter import convert
from torch import nn
from torch.autograd.gradcheck import GradcheckError

from lstmlab.cells import CellError, equations
from lstmlab.engine import RNN
from lstmlab.engine.costs import flops, parameters
from lstmlab.engine.dispatch import path
from lstmlab.testing._cell import BATCH, FEATURES, HIDDEN, STACKED, CellSubject
from lstmlab.testing._contract import PromiseError, expect
from lstmlab.testing.parity import TOLERANCE, assert_equal, everything, results, states_of

LONG = 200  # steps over which gradients stay finite
SAME = "write step() with lstmlab's functions and operators alone, the same for tensors and for symbols"


def equations_run(subject: CellSubject) -> None:
    """The equations run on symbols and on tensors, and each state comes back as (batch, hidden_size)."""
    try:
        equations(subject.cell)
    except CellError as error:
        raise PromiseError(
            str(error), "the message says it; a step takes gates, then states and vectors by keyword"
        ) from None
    rnn, x = subject.layer(), subject.inputs(steps=1)
    found = {k: tuple(v.shape) for k, v in zip(("output", *subject.cell.states), results(rnn, x), strict=True)}
    expect(
        all(shape == (1, BATCH, HIDDEN) for shape in found.values()),
        f"shapes are {found}, not {(1, BATCH, HIDDEN)}",
        "let every new state keep the shape of a gate; no sums over units or rows",
    )


def engines_agree(subject: CellSubject) -> str | None:
    """Where there is a faster path, its values and gradients are those of the reference, in float32 and float64."""
    for dtype in TOLERANCE:
        found = path(subject.cell, dtype)
        if found.name == "reference":
            return found.reason
        for options in ({}, STACKED):
            fast, plain = subject.layer(dtype, "auto", **options), subject.layer(dtype, **options)
            x, hx = subject.inputs(dtype), states_of(fast, BATCH)
            resets = torch.zeros(x.shape[:2], dtype=torch.bool)
            resets[2, 1] = True
            for given in ((x,), (x, hx, [2, 5, 0]), (x, hx, None, resets)):
                try:
                    # Weights of a normal distribution are large: more is rounded than in practice.
                    assert_equal(everything(fast, *given), everything(plain, *given), 10 * TOLERANCE[dtype])
                except AssertionError as error:
                    raise PromiseError(f"{found.name} and reference differ in {dtype}: {error}", SAME) from None
    return None


def gradients_are_right(subject: CellSubject) -> None:
    """Gradients of output and states, in input, initial states and all weights, are those of finite differences."""
    rnn = subject.layer()
    x, hx = subject.inputs().requires_grad_(), [s.requires_grad_() for s in states_of(rnn, BATCH)]

    def compute(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return results(rnn, x, rest[: len(hx)])  # the others are the layer's own parameters, perturbed in place

    try:
        torch.autograd.gradcheck(compute, (x, *hx, *rnn.parameters()), fast_mode=True)
    except GradcheckError as error:
        first = str(error).strip().splitlines()[0]
        raise PromiseError(f"gradients differ from finite differences: {first}", f"detach nothing; {SAME}") from None


def everything_learns(subject: CellSubject) -> None:
    """No gate, no weight, and not the input, is without influence on the output."""
    rnn, x = subject.layer(**STACKED), subject.inputs().requires_grad_()
    output = results(rnn, x, states_of(rnn, BATCH))[0]
    named = dict(rnn.named_parameters()) | {"input": x}
    gradients = torch.autograd.grad(output.square().sum(), list(named.values()), allow_unused=True)
    found = dict(zip(named, gradients, strict=True))
    # The matrices hold all gates; of the biases, each gate has its own.
    found |= {f"gate {gate}": g for gate, g in zip(subject.cell.gates, found["bias_l0"].split(HIDDEN), strict=True)}
    idle = [k for k, g in found.items() if g is None or not g.any()]
    expect(not idle, f"without influence: {', '.join(idle)}", "let them count in step(), or do not declare them")


def long_sequences_stay_finite(subject: CellSubject) -> None:
    """After 200 steps, outputs and all gradients are finite, with the initial weights and in float32."""
    torch.manual_seed(0)
    rnn, x = RNN(subject.cell, FEATURES, HIDDEN), subject.inputs(torch.float32, LONG)
    bad = [k for k, v in everything(rnn, x).items() if not v.isfinite().all()]
    expect(
        not bad,
        f"after {LONG} steps not finite: {', '.join(bad)}",
        "bound what a state is multiplied by (a sigmoid), and keep exponentials in range as slstm does",
    )


def latex_renders(subject: CellSubject) -> None:
    """The equations are shown as LaTeX that a browser can render."""
    from lstmlab.engine.tracing import trace  # SymPy takes half a second

    text, names = trace(subject.cell).latex(), "one letter, or a letter, an underscore and an index: c, p_i"
    try:
        tree = ElementTree.fromstring(convert(text.replace("{aligned}", "{align*}")))  # as reports do
    except Exception as error:
        raise PromiseError(f"{type(error).__name__}: {error} in {text!r}", f"let names be {names}") from None
    rows = sum(e.tag.endswith("mtr") for e in tree.iter())
    clean = rows == text.count("&=") and not {"&", "\\", "_"} & {*"".join(tree.itertext())}
    expect(clean, f"markup is left over in what is shown of {text!r}", f"let names be {names}")


def costs_are_counted(subject: CellSubject) -> None:
    """The parameters that budgets count on are those of the layer."""
    counted = parameters(subject.cell, FEATURES, HIDDEN)
    built = sum(p.numel() for p in RNN(subject.cell, FEATURES, HIDDEN).parameters())
    operations = flops(subject.cell, FEATURES, HIDDEN)
    expect(
        counted == built and operations.forward > 0,
        f"{counted} parameters are counted, {built} are built; {operations.forward} operations",
        "declare gates, inputs, recurrent and vectors on the class, and change none of them later",
    )


def summary_is_there(subject: CellSubject) -> None:
    """The class has a docstring of its own, whose first line says what it is and whose it is."""
    own = (subject.cell.__dict__.get("__doc__") or "").strip()
    expect(bool(own), "no docstring", 'write one: """LSTM with ... (Author et al. year)."""')


def forget_bias_keeps(subject: CellSubject) -> str | None:
    """forget_bias is in the initial bias of the gates that `forget` names, and a larger one keeps more."""
    if not subject.cell.forget:
        return "the cell declares no forget gate"
    change = {bias: _change(subject, bias) for bias in (-6.0, 6.0)}
    expect(
        change[6.0] < change[-6.0],
        f"with forget_bias=6 a state changes by {change[6.0]:.3g} in a step, with -6 by {change[-6.0]:.3g}",
        "turn the sign in `forget`: +1 where a large gate keeps the state, -1 where it replaces it",
    )
    return None


def _change(subject: CellSubject, bias: float) -> float:
    """Return how far the last state that is carried moves in one step without input."""
    rnn = RNN(subject.cell, FEATURES, HIDDEN, forget_bias=bias, engine="reference").eval()
    for name, parameter in rnn.named_parameters():
        if not name.startswith("bias"):
            nn.init.zeros_(parameter)
    state = "c" if "c" in subject.cell.states else subject.cell.states[0]
    at = subject.cell.states.index(state)
    hx = tuple(torch.ones_like(s) for s in states_of(rnn, BATCH))
    with torch.no_grad():
        _, *after = results(rnn, torch.zeros(1, BATCH, FEATURES), hx)
    return float((after[at] - hx[at]).abs().mean())

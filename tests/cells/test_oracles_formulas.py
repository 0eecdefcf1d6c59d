"""Cells without an implementation elsewhere compute what their paper's formulas say, written out here once more.

Each formula is a plain function of the input and of a layer's parameters by name; values and
gradients must agree.
"""

from collections.abc import Callable

import pytest
import torch
from layers import BATCH, FEATURES, HIDDEN, STEPS, build, sequences
from torch import Tensor
from torch.nn.functional import layer_norm

from lstmlab import registry
from lstmlab.engine import RNN

P = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def blocks(p: P, gates: str) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Return gate -> its W, R and b."""
    parts = (p[name].chunk(len(gates)) for name in ("weight_ih_l0", "weight_hh_l0", "bias_l0"))
    return dict(zip(gates, zip(*parts, strict=True), strict=True))


def janet(x: Tensor, p: P) -> Tensor:
    """Equation 4 of van der Westhuizen and Lasenby (2018), with beta = 1."""
    h, outputs = torch.zeros(BATCH, HIDDEN, dtype=x.dtype), []
    (w_f, u_f, b_f), (w_c, u_c, b_c) = blocks(p, "fg").values()
    for x_t in x:
        s = x_t @ w_f.T + h @ u_f.T + b_f
        candidate = (x_t @ w_c.T + h @ u_c.T + b_c).tanh()
        h = s.sigmoid() * h + (1 - (s - 1).sigmoid()) * candidate
        outputs.append(h)
    return torch.stack(outputs)


def weighted(keep: Tensor, new: Tensor) -> Tensor:
    """Return h_t = keep_t h_{t-1} + new_t in closed form: the sum of all new_s times what is kept after s."""
    return torch.stack([sum(keep[s + 1 : t + 1].prod(0) * new[s] for s in range(t + 1)) for t in range(len(new))])


def minlstm(x: Tensor, p: P) -> Tensor:
    """Section 3.2 of Feng et al. (2024)."""
    f, i, candidate = (x @ p["weight_ih_l0"].T + p["bias_l0"]).chunk(3, 2)
    f, i = f.sigmoid(), i.sigmoid()
    return weighted(f / (f + i), i / (f + i) * candidate)


def mingru(x: Tensor, p: P) -> Tensor:
    """Section 3.1 of Feng et al. (2024)."""
    z, candidate = (x @ p["weight_ih_l0"].T + p["bias_l0"]).chunk(2, 2)
    return weighted(1 - z.sigmoid(), z.sigmoid() * candidate)


def slstm(x: Tensor, p: P) -> Tensor:
    """Equations 8 to 14 of Beck et al. (2024), not stabilised, sigmoid forget gate."""
    h = c = n = torch.zeros(BATCH, HIDDEN, dtype=x.dtype)
    outputs = []
    for x_t in x:
        i, f, z, o = (x_t @ w.T + h @ r.T + b for w, r, b in blocks(p, "ifzo").values())
        c = f.sigmoid() * c + i.exp() * z.tanh()
        n = f.sigmoid() * n + i.exp()
        h = o.sigmoid() * (c / n)
        outputs.append(h)
    return torch.stack(outputs)


def fgr(x: Tensor, p: P) -> Tensor:
    """Appendix A.3 of Greff et al. (2017): nine more matrices, from gates to gates."""
    h = c = i = f = o = torch.zeros(BATCH, HIDDEN, dtype=x.dtype)
    own, outputs = blocks(p, "ifgo"), []
    between = {
        (to, source): matrix
        for source in "ifo"
        for to, matrix in zip("ifo", p[f"weight_e_{source}_l0"].chunk(3), strict=True)
    }
    for x_t in x:
        raw = {gate: x_t @ w.T + h @ r.T + b for gate, (w, r, b) in own.items()}
        for gate in "ifo":
            raw[gate] = raw[gate] + i @ between[gate, "i"].T + f @ between[gate, "f"].T + o @ between[gate, "o"].T
        i = (raw["i"] + p["p_i_l0"] * c).sigmoid()
        f = (raw["f"] + p["p_f_l0"] * c).sigmoid()
        c = f * c + i * raw["g"].tanh()
        o = (raw["o"] + p["p_o_l0"] * c).sigmoid()
        h = o * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def layernorm(x: Tensor, p: P) -> Tensor:
    """Equations 20 to 22 of Ba et al. (2016): both products are normalised over all four gates at once."""
    h = c = torch.zeros(BATCH, HIDDEN, dtype=x.dtype)
    outputs = []
    for x_t in x:
        of_input = layer_norm(x_t @ p["weight_ih_l0"].T, (4 * HIDDEN,), p["norm_ih_l0.weight"])
        of_state = layer_norm(h @ p["weight_hh_l0"].T, (4 * HIDDEN,), p["norm_hh_l0.weight"])
        i, f, g, o = (of_input + of_state + p["bias_l0"]).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * layer_norm(c, (HIDDEN,), p["norm_c_l0.weight"], p["norm_c_l0.bias"]).tanh()
        outputs.append(h)
    return torch.stack(outputs)


FORMULAS = [janet, minlstm, mingru, slstm, fgr, layernorm]


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.__name__)
def test_cell_is_its_papers_formula(formula: Callable[[Tensor, P], Tensor], engine: str) -> None:
    """Outputs and the gradients of input and parameters agree."""
    rnn, x = build(formula.__name__, engine=engine), sequences().requires_grad_()
    parameters = dict(rnn.named_parameters())
    actual, expected = rnn(x)[0], formula(x, parameters)
    torch.testing.assert_close(actual, expected)
    cotangent = torch.randn_like(expected)
    wanted = [x, *parameters.values()]
    ours, theirs = (torch.autograd.grad(y, wanted, cotangent) for y in (actual, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("zeros", [False, True], ids=["own_states", "zeros"])
@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("cell", list(registry.cell))
def test_nothing_overflows(cell: str, scale: float, zeros: bool) -> None:
    """Outputs and gradients stay finite for inputs of any size, in float32 and also from zeros for all states."""
    rnn, x = RNN(cell, FEATURES, HIDDEN), (scale * torch.randn(STEPS, BATCH, FEATURES)).requires_grad_()
    states = tuple(torch.zeros(1, BATCH, HIDDEN) for _ in rnn.cell.states)
    output, finals = rnn(x, states if zeros else None)
    output.sum().backward()
    tensors = [
        output,
        x.grad,
        *(finals if isinstance(finals, tuple) else [finals]),
        *(p.grad for p in rnn.parameters()),
    ]
    assert all(t.isfinite().all() for t in tensors)


def test_slstm_normaliser_never_falls_below_one() -> None:
    """From the cell's own initial states it is 1 at first and never less: so the division by it is safe."""
    rnn, x = build("slstm"), 20 * sequences(50)
    n = torch.stack([rnn(x[: t + 1])[1][2] for t in range(len(x))])
    assert (n[0] == 1).all()
    assert (n >= 1).all()


def test_slstm_from_zeros_is_that_of_the_paper() -> None:
    """Zeros mean nothing seen yet: what is stored is scaled by exp(m), and m = 0 is a scale as good as another."""
    rnn, x = build("slstm"), sequences()
    zeros = tuple(torch.zeros(1, BATCH, HIDDEN, dtype=x.dtype) for _ in rnn.cell.states)
    torch.testing.assert_close(rnn(x, zeros)[0], rnn(x)[0])

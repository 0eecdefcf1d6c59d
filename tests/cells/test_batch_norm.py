"""The batch-norm LSTM is that of Cooijmans et al. (2016): torch's own batch norm at each step, in both modes."""

import pytest
import torch
from layers import BATCH, FEATURES, HIDDEN, STEPS
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from lstmlab.engine import RNN

P = dict[str, Tensor]
NORMS = {"ih": 4 * HIDDEN, "hh": 4 * HIDDEN, "c": HIDDEN}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(**options: bool) -> RNN:
    """Return a layer in training mode; the gain of 0.1 stays, because at 1 differences vanish in the tanh."""
    rnn = RNN("batchnorm", FEATURES, HIDDEN, **options).double()
    for name, parameter in rnn.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter)
    return rnn


def draw(steps: int = STEPS, batch: int = 2 * BATCH) -> Tensor:
    return torch.randn(steps, batch, FEATURES, dtype=torch.float64)


def formula(x: Tensor, p: P, running: list[dict[str, tuple[Tensor, Tensor]]] | None, training: bool) -> Tensor:
    """Equations 6 to 9 of the paper.

    Args:
        x: (time, batch, features).
        p: parameters by name.
        running: for each step, norm -> mean and variance, which training updates in place.
        training: normalise by the batch.
    """
    h = c = torch.zeros(x.shape[1], HIDDEN, dtype=x.dtype)
    outputs = []
    for t, x_t in enumerate(x):

        def norm(name: str, value: Tensor, t: int = t) -> Tensor:
            mean, var = running[t][name] if running else (None, None)
            key = f"norm_{name}_l0"
            return batch_norm(value, mean, var, p[f"{key}.weight"], p.get(f"{key}.bias"), training, 0.1, 1e-5)

        raw = norm("ih", x_t @ p["weight_ih_l0"].T) + norm("hh", h @ p["weight_hh_l0"].T) + p["bias_l0"]
        i, f, g, o = raw.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * norm("c", c).tanh()
        outputs.append(h)
    return torch.stack(outputs)


def statistics(rnn: RNN) -> list[dict[str, tuple[Tensor, Tensor]]]:
    norms = {name: rnn.get_submodule(f"norm_{name}_l0") for name in NORMS}
    steps = range(len(norms["ih"].running_mean))
    return [{k: (n.running_mean[t].clone(), n.running_var[t].clone()) for k, n in norms.items()} for t in steps]


def test_training_normalises_by_the_batch() -> None:
    """Outputs and gradients are those of torch's batch norm at each step."""
    rnn, x = build(), draw().requires_grad_()
    parameters = dict(rnn.named_parameters())
    actual, expected = rnn(x)[0], formula(x, parameters, None, True)
    torch.testing.assert_close(actual, expected)
    cotangent = torch.randn_like(expected)
    wanted = [x, *parameters.values()]
    ours, theirs = (torch.autograd.grad(y, wanted, cotangent) for y in (actual, expected))
    torch.testing.assert_close(ours, theirs)


def test_statistics_are_kept_for_each_step() -> None:
    """The first batch sets them, later ones move them by a tenth, and evaluation uses those of its step."""
    rnn, x, unseen = build(), draw(), draw(batch=2)
    rnn(x)
    first = statistics(rnn)
    assert len(first) == STEPS
    product = x[2] @ rnn.weight_ih_l0.T
    torch.testing.assert_close(first[2]["ih"], (product.mean(0), product.var(0)))
    later = draw()
    rnn(later)
    formula(later, dict(rnn.named_parameters()), first, True)  # torch's batch norm moves them in place
    second = statistics(rnn)
    torch.testing.assert_close(second, first)
    expected = formula(unseen, dict(rnn.named_parameters()), first, False)
    torch.testing.assert_close(rnn.eval()(unseen)[0], expected)
    torch.testing.assert_close(rnn(unseen[:, :1])[0], expected[:, :1])
    torch.testing.assert_close(statistics(rnn), second, rtol=0, atol=0)


def test_steps_past_the_longest_use_the_last_statistics() -> None:
    rnn, longer = build(), draw(STEPS + 3, 2)
    rnn(draw())
    known = statistics(rnn)
    expected = formula(longer, dict(rnn.named_parameters()), [*known, *known[-1:] * 3], False)
    torch.testing.assert_close(rnn.eval()(longer)[0], expected)


@pytest.mark.parametrize("direction", ["", "_reverse"], ids=["forward", "backward"])
def test_what_follows_an_end_does_not_count(direction: str) -> None:
    """A step's statistics are those of the sequences that are that long, counted from where each starts."""
    rnn, x, lengths = build(bidirectional=True), draw(batch=4), torch.tensor([5, 2, 4, 2])
    noisy = torch.where(torch.arange(STEPS)[:, None, None] < lengths[:, None], x, 1e3)
    assert torch.equal(rnn(noisy, lengths=lengths)[0], rnn(x, lengths=lengths)[0])
    rnn.reset_parameters()
    rnn(noisy, lengths=lengths)
    means = rnn.get_submodule(f"norm_ih_l0{direction}").running_mean
    assert len(means) == 4  # one sequence alone at the fifth step has no spread
    for step, mean in enumerate(means):
        alive = [b for b in range(4) if lengths[b] > step]
        rows = torch.stack([x[lengths[b] - 1 - step if direction else step, b] for b in alive])
        torch.testing.assert_close(mean, (rows @ rnn.get_parameter(f"weight_ih_l0{direction}").T).mean(0))


def test_it_starts_with_a_small_gain_and_no_statistics() -> None:
    """Gain 0.1 and shift 0, as in the paper; `reset_parameters` forgets what was seen."""
    rnn = build()
    rnn(draw())
    rnn.reset_parameters()
    for name in NORMS:
        norm = rnn.get_submodule(f"norm_{name}_l0")
        assert torch.equal(norm.weight, torch.full_like(norm.weight, 0.1))
        assert len(norm.running_mean) == len(norm.running_var) == 0
    assert not rnn.get_submodule("norm_c_l0").bias.any()


def test_statistics_are_part_of_the_state() -> None:
    """They travel in the state dict, whatever number of steps the other layer has seen."""
    rnn, other, x = build(), build(), draw()
    rnn(x)
    other(draw(STEPS + 2))
    other.load_state_dict(rnn.state_dict())
    torch.testing.assert_close(other.eval()(x), rnn.eval()(x), rtol=0, atol=0)
    fresh = build()
    fresh.load_state_dict(rnn.state_dict())
    torch.testing.assert_close(fresh.eval()(x), rnn(x), rtol=0, atol=0)

"""A probe shows what the layer computed, equation by equation."""

from typing import Any

import numpy as np
import pytest
import torch
from layers import build, settle
from own_cells import OWN
from scipy.special import expit

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.engine import RNN
from lstmlab.engine.tracing import trace
from lstmlab.training.probes import probe

STEPS, FEATURES, HIDDEN = 6, 2, 4
registered = [registry.cell.get(name) for name in registry.cell]
every_cell = pytest.mark.parametrize("cell", [*registered, *OWN], ids=lambda cell: cell.__name__)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def columns(rnn: RNN, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Return name -> values (time, units) of a probe."""
    frame = probe(rnn, x).pivot(index="step", columns="unit")
    return {name: frame[name].to_numpy() for name in frame.columns.levels[0]}


@every_cell
@pytest.mark.parametrize("options", [{}, {"batch_first": True}], ids=["time_first", "batch_first"])
def test_probe_shows_what_the_layer_computes(cell: type[Cell], options: dict[str, Any]) -> None:
    """Its columns are the equations; its states are the layer's at every step."""
    rnn, x = build(cell, FEATURES, HIDDEN, **options), torch.randn(STEPS, FEATURES, dtype=torch.float64)
    shown = columns(rnn, x)
    assert set(shown) == {*trace(cell).equations}
    output, states = rnn(x)
    np.testing.assert_allclose(shown[cell.states[0]], output.detach(), atol=1e-12)
    for name, state in zip(cell.states, states if isinstance(states, tuple) else (states,), strict=True):
        np.testing.assert_allclose(shown[name][-1], state[0].detach(), atol=1e-12)


def test_probed_gates_are_activations() -> None:
    """A gate's column holds its value after the nonlinearity, at every step."""
    rnn, x = build("peephole", FEATURES, HIDDEN), torch.randn(STEPS, FEATURES, dtype=torch.float64)
    v, named = columns(rnn, x), {k: p.detach().numpy() for k, p in rnn.named_parameters()}
    h, c = (np.vstack([np.zeros((1, HIDDEN)), v[k][:-1]]) for k in "hc")
    raw = x.numpy() @ named["weight_ih_l0"].T + h @ named["weight_hh_l0"].T + named["bias_l0"]
    i, f, g, o = np.split(raw, 4, axis=1)
    np.testing.assert_allclose(v["i"], expit(i + named["p_i_l0"] * c))
    np.testing.assert_allclose(v["f"], expit(f + named["p_f_l0"] * c))
    np.testing.assert_allclose(v["g"], np.tanh(g))
    np.testing.assert_allclose(v["o"], expit(o + named["p_o_l0"] * v["c"]))


def test_probed_gates_combine_to_the_states() -> None:
    """The equations hold between columns, also with starting values, and with gates that feed back."""
    x = torch.randn(STEPS, FEATURES, dtype=torch.float64)
    v = columns(build("slstm", FEATURES, HIDDEN), x)
    np.testing.assert_allclose(v["n"][0], 1)
    np.testing.assert_allclose(v["n"][1:], v["f"][1:] * v["n"][:-1] + v["i"][1:])
    np.testing.assert_allclose(v["h"], v["o"] * v["c"] / v["n"])
    v = columns(build("gru", FEATURES, HIDDEN), x)
    np.testing.assert_allclose(v["h"][1:], (1 - v["z"][1:]) * v["n"][1:] + v["z"][1:] * v["h"][:-1])
    v = columns(build("fgr", FEATURES, HIDDEN), x)
    np.testing.assert_allclose(v["e_f"], v["f"])
    np.testing.assert_allclose(v["c"][1:], v["f"][1:] * v["c"][:-1] + v["i"][1:] * v["g"][1:])


def test_probe_looks_at_the_first_layer_and_changes_nothing() -> None:
    """Layers above and the other direction are left out; training mode and statistics stay."""
    rnn = settle(RNN("batchnorm", FEATURES, HIDDEN, num_layers=2, bidirectional=True, dropout=0.5)).train()
    first = RNN("batchnorm", FEATURES, HIDDEN).eval()
    first.load_state_dict({k: v for k, v in rnn.state_dict().items() if k.partition(".")[0].endswith("_l0")})
    before = {k: v.clone() for k, v in rnn.state_dict().items()}
    x = torch.randn(STEPS, FEATURES)
    shown = columns(rnn, x)
    np.testing.assert_allclose(shown["h"], first(x)[0].detach(), atol=1e-6)
    assert rnn.training
    torch.testing.assert_close(rnn.state_dict(), before, rtol=0, atol=0)


def test_probe_follows_projection_and_zoneout() -> None:
    """What feeds back is what the layer feeds back; shown is what the equations give before that."""
    rnn = build("vanilla", FEATURES, HIDDEN, proj_size=3, zoneout={"c": 0.25})
    x = torch.randn(STEPS, FEATURES, dtype=torch.float64)
    shown = columns(rnn, x)
    output, (_, c) = rnn.eval()(x)
    projected = shown["h"] @ rnn.weight_hr_l0.detach().numpy().T
    np.testing.assert_allclose(projected, output.detach())
    carried = np.zeros(HIDDEN)
    for new in shown["c"]:
        carried = 0.25 * carried + 0.75 * new
    np.testing.assert_allclose(carried, c[0].detach())

"""The GPU engine computes what the reference does: interpreted on the CPU, and in CUDA graphs where there is a GPU.

`make test-triton` runs it. With TRITON_INTERPRET=1 the operators of the CPU run the GPU's code, all
of it but the capture of graphs; without, the kernels are compiled for a GPU, which needs none.
"""

from typing import Any

import pytest
import torch
from parity import assert_equal, every_fused, everything, states_of, twins
from torch import Tensor
from triton_here import device_of_kernels as device_of_kernels
from triton_here import on_gpu, refuse, with_triton

from lstmlab import registry
from lstmlab.engine import RNN, reference
from lstmlab.engine.gpu import graphs, loops

STEPS, BATCH, FEATURES, HIDDEN = 7, 4, 3, 5  # segments of 4, 2 and 1 steps
LENGTHS = [7, 3, 0, 6]
MASKS = {"recurrent_dropout": 0.5, "zoneout": 0.3, "weight_drop": 0.4, "learn_initial": True}
CASES: dict[str, tuple[dict[str, Any], str]] = {  # id -> options of the layer, and what is given in words
    "plain": ({}, ""),
    "states": ({"bidirectional": True}, "states"),
    "lengths": ({"bidirectional": True}, "lengths states"),
    "resets": ({"bidirectional": True}, "resets"),
    "zoneout": ({"zoneout": "last"}, "resets states"),
    "zoneout_eval": ({"zoneout": 0.4}, "lengths eval"),
    "all": (MASKS | {"num_layers": 2, "bidirectional": True}, "lengths resets"),
    "all_states": (MASKS | {"bidirectional": True, "checkpoint_every": 5}, "lengths resets states"),
}


def pair(cell: str, device: str, options: dict[str, Any], dtype: torch.dtype = torch.float64) -> Any:
    """Return a layer for kernels and its twin on the reference."""
    states = registry.cell.get(cell).states
    options = {k: {states[-1]: 0.4} if v == "last" else v for k, v in options.items()}
    fast, plain = twins(cell, dtype, FEATURES, HIDDEN, **options)
    return fast.to(device), plain.to(device)


def given_to(rnn: RNN, words: str) -> tuple[Tensor, Any, Any, Any]:
    """Return input, states, lengths and resets, those that ``words`` name."""
    bias = rnn.weights().bias
    x = torch.randn(STEPS, BATCH, FEATURES).to(bias)
    resets = torch.rand(STEPS, BATCH) < 0.3
    resets[0, 0] = resets[4, 1] = resets[STEPS - 1, 1] = True  # 4: the first step of a segment
    return (
        x,
        tuple(s.to(bias) for s in states_of(rnn, BATCH)) if "states" in words else None,
        LENGTHS if "lengths" in words else None,
        resets.to(bias.device) if "resets" in words else None,
    )


def assert_kernels_are_the_reference(fast: RNN, plain: RNN, *given: Any, tolerance: float | None = None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "recur", refuse)
        found = everything(fast, *given)
    assert graphs._loops
    assert_equal(found, everything(plain, *given), tolerance)


@with_triton
@every_fused
@pytest.mark.parametrize(("options", "words"), CASES.values(), ids=list(CASES))
def test_kernels_are_the_reference(cell: str, options: dict[str, Any], words: str, device: str) -> None:
    """Output, final states and all gradients agree for every cell and option, with the same masks drawn."""
    fast, plain = pair(cell, device, options)
    training = "eval" not in words
    assert_kernels_are_the_reference(fast.train(training), plain.train(training), *given_to(fast, words))


@with_triton
@pytest.mark.parametrize("products", [None, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", ["peephole", "gru", "fgr", "slstm", "minlstm"])
def test_single_precision_and_autocast(cell: str, products: torch.dtype | None, device: str) -> None:
    """In float32 kernels agree to rounding; under autocast products are rounded, and the states are not."""
    if device == "cpu" and products == torch.float16:
        pytest.skip("on the CPU only bfloat16 rounds products")
    fast, plain = pair(cell, device, {"bidirectional": True}, torch.float32)
    given = given_to(fast, "lengths")
    exact = everything(plain, *given)
    with torch.autocast(device, products, enabled=products is not None):
        found = everything(fast, *given)
    assert all(t.dtype == torch.float32 for t in found.values())
    assert_equal(found, exact, 0.03 if products else None)
    if products:
        with pytest.raises(AssertionError):
            assert_equal(found, exact)


@with_triton
@pytest.mark.parametrize("batch", [0, 1, 40])
@pytest.mark.parametrize("hidden", [1, 9])
def test_any_number_of_rows_and_units(batch: int, hidden: int, device: str) -> None:
    """A kernel treats rows and units in blocks, the last of them not full."""
    fast, plain = (r.to(device) for r in twins("peephole", torch.float64, FEATURES, hidden))
    x = torch.randn(3, batch, FEATURES, dtype=torch.float64, device=device)
    assert_kernels_are_the_reference(fast, plain, x)


@with_triton
def test_second_derivatives_and_compilation(device: str) -> None:
    """The operators are those of the CPU: twice differentiable, and opaque to torch.compile."""
    fast, plain = pair("vanilla", device, {})
    x = given_to(fast, "")[0].requires_grad_()
    twice = [
        torch.autograd.grad(torch.autograd.grad(r(x)[0].square().sum(), x, create_graph=True)[0].square().sum(), x)
        for r in (fast, plain)
    ]
    torch.testing.assert_close(*twice)
    torch.testing.assert_close(torch.compile(fast, backend="aot_eager")(x), plain(x))


@with_triton
def test_what_is_kept_is_bounded(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops with their buffers are used again, and make room for others; lengths of sequences need no others."""
    monkeypatch.setattr(graphs, "KEPT", 3)
    rnn = RNN("coupled", FEATURES, HIDDEN).to(device)
    for steps in (3, 6, 7):
        rnn(torch.randn(steps, BATCH, FEATURES, device=device))[0].sum().backward()
    assert len(graphs._loops) == 2  # forward and back
    for batch in range(1, 4):
        rnn(torch.randn(2, batch, FEATURES, device=device))
    assert len(graphs._loops) == 3


@with_triton
@on_gpu
def test_a_pass_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once graphs are captured nothing launches the kernels of single steps."""
    rnn = RNN("peephole", FEATURES, HIDDEN, engine="auto").cuda()
    x = torch.randn(200, BATCH, FEATURES, device="cuda", requires_grad=True)
    first = torch.autograd.grad(rnn(x)[0].square().sum(), x)
    monkeypatch.setattr(loops.Loop, "_launch", refuse)
    torch.testing.assert_close(torch.autograd.grad(rnn(x)[0].square().sum(), x), first, rtol=0, atol=0)

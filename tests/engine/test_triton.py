"""The GPU engine computes what the reference does: interpreted on the CPU, and in CUDA graphs where there is a GPU.

`make test-triton` runs it. With TRITON_INTERPRET=1 the operators of the CPU run the GPU's code, all
of it but the capture of graphs; without, the kernels are compiled for a GPU, which needs none.
"""

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from parity import assert_equal, every_fused, everything, states_of, twins
from torch import Tensor

from lstmlab import registry
from lstmlab.cells import Cell, exp, log_sigmoid, maximum, relu, sigmoid, tanh
from lstmlab.engine import RNN, dispatch, fused, reference, scan
from lstmlab.engine.dispatch import Path
from lstmlab.engine.gpu import build, code, graphs, loops, operators

INSTALLED = importlib.util.find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
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
needs_triton = pytest.mark.skipif(not INSTALLED, reason="Triton is not installed: `make test-triton` installs it")
interpreted = pytest.mark.skipif(not INTERPRETED, reason="without TRITON_INTERPRET=1 nothing is interpreted")
compiled = pytest.mark.skipif(INTERPRETED, reason="with TRITON_INTERPRET=1 nothing is compiled")
on_gpu = pytest.mark.skipif(INTERPRETED or not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.fixture(params=[pytest.param("cpu", marks=interpreted), pytest.param("cuda", marks=on_gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A device on which all that is not the reference is the GPU's code, in segments of 4 steps at most."""
    torch.manual_seed(0)
    monkeypatch.setattr(loops, "LONGEST", 4)
    monkeypatch.setattr(graphs, "_loops", type(graphs._loops)())
    monkeypatch.setattr(scan, "recur", _refuse)
    if request.param == "cpu":
        monkeypatch.setattr(dispatch, "path", lambda *_: Path("fused", "interpreted"))
        fused.register("cpu", operators.forward, operators.backward)
    yield request.param
    if request.param == "cpu":
        fused.register("cpu", fused._forward._init_fn, fused._backward._init_fn)


def _refuse(*_: object) -> None:
    raise AssertionError("this was to run in Triton's kernels")


def pair(cell: str | type[Cell], device: str, options: dict[str, Any], dtype: torch.dtype = torch.float64) -> Any:
    """Return a layer for kernels and its twin on the reference."""
    states = cell.states if isinstance(cell, type) else registry.cell.get(cell).states
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
        patch.setattr(reference, "recur", _refuse)
        found = everything(fast, *given)
    assert graphs._loops
    assert_equal(found, everything(plain, *given), tolerance)


@pytest.mark.triton
@needs_triton
@every_fused
@pytest.mark.parametrize(("options", "words"), CASES.values(), ids=list(CASES))
def test_kernels_are_the_reference(cell: str, options: dict[str, Any], words: str, device: str) -> None:
    """Output, final states and all gradients agree for every cell and option, with the same masks drawn."""
    fast, plain = pair(cell, device, options)
    training = "eval" not in words
    assert_kernels_are_the_reference(fast.train(training), plain.train(training), *given_to(fast, words))


@pytest.mark.triton
@needs_triton
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


@pytest.mark.triton
@needs_triton
@pytest.mark.parametrize("batch", [0, 1, 40])
@pytest.mark.parametrize("hidden", [1, 9])
def test_any_number_of_rows_and_units(batch: int, hidden: int, device: str) -> None:
    """A kernel treats rows and units in blocks, the last of them not full."""
    fast, plain = (r.to(device) for r in twins("peephole", torch.float64, FEATURES, hidden))
    x = torch.randn(3, batch, FEATURES, dtype=torch.float64, device=device)
    assert_kernels_are_the_reference(fast, plain, x)


class Operations(Cell):
    """Every operation of the language, each on the input."""

    gates = ("x",)
    states = ("h", "a", "b", "c", "d", "e")
    recurrent = {}

    def step(self, x: Any) -> dict[str, Any]:
        h = {"h": sigmoid(x), "a": tanh(x), "b": exp(x), "c": log_sigmoid(x), "d": relu(x)}
        return h | {"e": maximum(x / 3, 0.5)}


@pytest.mark.triton
@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_operations_are_exact_everywhere(dtype: torch.dtype, device: str) -> None:
    """Over the whole range they differ from torch's by rounding; infinities and NaN are kept."""
    special = torch.tensor([0.0, -0.0, 0.5, 0.625, 1.5, torch.inf, -torch.inf, torch.nan], dtype=torch.float64)
    x = torch.cat([special, torch.linspace(-120, 120, 4001), torch.linspace(-1, 1, 2001) ** 5]).to(device, dtype)
    rnn = RNN(Operations, 1, 1).to(device, dtype)
    with torch.no_grad():
        rnn.weight_ih_l0.fill_(1.0)
        rnn.bias_l0.zero_()
        _, found = rnn(x[None, :, None])
    exact = x.double()
    expected = (
        *(f(exact) for f in (torch.sigmoid, torch.tanh, torch.exp, torch.nn.functional.logsigmoid, torch.relu)),
        (exact / 3).maximum(exact.new_tensor(0.5)),
    )
    # a GPU's exp in float32 multiplies the rounding of a large argument
    bound = (16 if device == "cpu" else 128) * torch.finfo(dtype).eps
    for name, value, wanted in zip(Operations.states, found, expected, strict=True):
        tiny = torch.finfo(dtype).tiny
        torch.testing.assert_close(
            value[0, :, 0], wanted.to(dtype), rtol=bound, atol=tiny, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.triton
@needs_triton
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


@pytest.mark.triton
@needs_triton
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


@pytest.mark.triton
@on_gpu
def test_a_pass_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once graphs are captured nothing launches the kernels of single steps."""
    rnn = RNN("peephole", FEATURES, HIDDEN, engine="auto").cuda()
    x = torch.randn(200, BATCH, FEATURES, device="cuda", requires_grad=True)
    first = torch.autograd.grad(rnn(x)[0].square().sum(), x)
    monkeypatch.setattr(loops.Loop, "_launch", _refuse)
    torch.testing.assert_close(torch.autograd.grad(rnn(x)[0].square().sum(), x), first, rtol=0, atol=0)


@pytest.mark.triton
@needs_triton
@compiled
@every_fused
@pytest.mark.parametrize(("real", "products"), [("fp32", "fp32"), ("fp32", "bf16"), ("fp64", "fp64")])
@pytest.mark.parametrize("given", [False, True], ids=["plain", "options"])
def test_kernels_compile_without_a_gpu(cell: str, real: str, products: str, given: bool) -> None:
    """Triton and the assembler that it brings accept every kernel, and no number is rounded on the way."""
    kernels = build.load(registry.cell.get(cell))
    for kernel, arguments in ((kernels.forward, code.FORWARD), (kernels.backward, code.BACKWARD)):
        assembly = _compile(kernel, arguments.split(", "), real, products, given)
        assert assembly["cubin"]
        assert "cvt.f64.f32" not in assembly["ptx"]


def _compile(kernel: Any, arguments: list[str], real: str, products: str, given: bool) -> Any:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = dict.fromkeys(arguments, f"*{real}")
    types |= {k: f"*{products}" for k in ("inputs", "product", "feed", "fed", "grad_feed") if k in arguments}
    optional = {"alive": "*u8", "resets": "*u8", "later_resets": "*u8"} | dict.fromkeys(
        ["drop", "zones", "zone"], f"*{real}"
    )
    types |= optional if given else dict.fromkeys(optional, "constexpr")
    types |= {"batch": "i32", "hidden": "i32", "BLOCK": "constexpr"}
    constants = {(i,): 128 if k == "BLOCK" else None for i, (k, t) in enumerate(types.items()) if t == "constexpr"}
    return triton.compile(ASTSource(kernel, types, constants), target=GPUTarget("cuda", 80, 32)).asm


@pytest.mark.parametrize(
    ("cuda", "interpret", "reason"),
    [
        (False, "", "torch sees no CUDA device"),
        (True, "1", "has Triton's kernels interpreted"),
        (True, "", "pip install 'lstmlab[gpu]'"),
    ],
)
def test_the_reason_why_there_is_no_gpu_path(
    cuda: bool, interpret: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setenv("TRITON_INTERPRET", interpret)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = dispatch._find_path.__wrapped__(registry.cell.get("vanilla"), torch.float32, "cuda")
    assert found.name == "reference"
    assert reason in found.reason

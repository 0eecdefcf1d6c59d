"""The kernels for a GPU: exact operations, code that compiles without a GPU, and reasons where there is none."""

import importlib.util
from typing import Any

import pytest
import torch
from parity import every_fused
from triton_here import compiled, with_triton
from triton_here import device_of_kernels as device_of_kernels

from lstmlab import registry
from lstmlab.cells import Cell, exp, log_sigmoid, maximum, relu, sigmoid, tanh
from lstmlab.engine import RNN, dispatch
from lstmlab.engine.gpu import build, code


class Operations(Cell):
    """Every operation of the language, each on the input."""

    gates = ("x",)
    states = ("h", "a", "b", "c", "d", "e")
    recurrent = {}

    def step(self, x: Any) -> dict[str, Any]:
        h = {"h": sigmoid(x), "a": tanh(x), "b": exp(x), "c": log_sigmoid(x), "d": relu(x)}
        return h | {"e": maximum(x / 3, 0.5)}


@with_triton
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


@with_triton
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

"""Under autocast in bfloat16 products are rounded; states, equations and gradients stay float32."""

from typing import Any

import pytest
import torch
from parity import assert_equal, compiler_or_skip, every_fused, everything, only_fused, states_of, threads, twins
from torch import Tensor

from lstmlab.engine import RNN, compiler, kernels, scan

rounding = torch.autocast("cpu", torch.bfloat16)
TOLERANCE = 0.05  # of the largest value; bfloat16 has 8 bits
SHARE = 0.02  # of a tensor's norm
OPTIONS = {"num_layers": 2, "bidirectional": True}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def rounded(rnn: RNN, *given: Any) -> dict[str, Tensor]:
    with rounding:
        return everything(rnn, *given)


def furthest(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the largest distance between two results of the same name, as a share of the norm."""
    return max(((found[k] - v).norm() / v.norm()).item() for k, v in expected.items())


@every_fused
@pytest.mark.parametrize(("hidden", "features", "batch"), [(5, 3, 4), (33, 17, 13), (16, 2, 1)])
def test_rounded_results_are_close_and_float32(cell: str, hidden: int, features: int, batch: int) -> None:
    """Values and gradients are those of the reference but for roundings, which change them by less than a hundredth."""
    fast, plain = twins(cell, torch.float32, features, hidden, **OPTIONS)
    given = (torch.randn(6, batch, features), states_of(fast, batch))
    with only_fused(), threads(2):
        found, whole = rounded(fast, *given), everything(fast, *given)
    assert {t.dtype for t in found.values()} == {torch.float32}
    assert furthest(found, rounded(plain, *given)) < SHARE
    # not the gradients: a maximum can choose otherwise when its operands are rounded
    values = {k: whole[k] for k in ("output", *fast.cell.states)}
    assert 1e-4 < furthest(found, values) < SHARE


@every_fused
def test_operands_are_rounded_and_nothing_else(cell: str) -> None:
    """With operands that bfloat16 can represent the first step is exact; state and equations are not rounded."""
    fast, _ = twins(cell, torch.float32, 3, 5)
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.copy_(parameter.bfloat16())
        x, hx = torch.randn(1, 4, 3).bfloat16().float(), tuple(s.bfloat16().float() for s in states_of(fast, 4))
        expected = fast(x, hx)
        with rounding:
            torch.testing.assert_close(fast(x, hx), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("options", [
    {"proj_size": 2}, {"recurrent_dropout": 0.4}, {"zoneout": 0.3}, {"learn_initial": True}, {"checkpoint_every": 2},
], ids=lambda o: next(iter(o)))  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_options_under_autocast(options: dict[str, Any], dtype: torch.dtype) -> None:
    """The input may come from a layer that autocast has rounded; masks and projections hold with it."""
    fast, plain = twins("peephole", torch.float32, 3, 40, **options)
    x = torch.randn(6, 4, 3).to(dtype)
    with only_fused():
        found = rounded(fast, x, None, [6, 2, 0, 5])
    assert found["output"].dtype == found["h"].dtype == torch.float32
    assert_equal(found, rounded(plain, x, None, [6, 2, 0, 5]), TOLERANCE)


def test_double_is_not_rounded() -> None:
    """Autocast leaves float64 alone, as it does in torch's own layers."""
    fast, _ = twins("peephole")
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    with only_fused():
        found, expected = rounded(fast, x), everything(fast, x)
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_half_precision_of_another_kind_is_not_rounded() -> None:
    """There are no float16 products on a CPU: the result is more exact than asked for."""
    fast, _ = twins("peephole", torch.float32)
    x = torch.randn(6, 4, 3)
    with torch.autocast("cpu", torch.float16), only_fused():
        torch.testing.assert_close(fast(x)[0], fast.float()(x)[0])


@pytest.mark.parametrize("cell", ["peephole", "gru"])
def test_second_derivatives_are_rounded_alike(cell: str) -> None:
    """A gradient is the same to the precision of bfloat16 whether or not it can be differentiated again."""
    fast, _ = twins(cell, torch.float32, 3, 33)
    x = torch.randn(6, 4, 3, requires_grad=True)
    with rounding:
        output = fast(x)[0].square().sum()
    once, again = (torch.autograd.grad(output, x, create_graph=c, retain_graph=True)[0] for c in (False, True))
    assert_equal({"x": again.detach()}, {"x": once}, TOLERANCE)
    assert again.requires_grad


@pytest.mark.parametrize("cell", ["minlstm", "mingru"])
def test_a_scan_keeps_float32(cell: str) -> None:
    """Only its one product is rounded: all that follows is a sum over many steps."""
    _, plain = twins(cell, torch.float32, 3, 8)
    x = torch.randn(50, 4, 3)
    expected = rounded(plain, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstmlab.engine.reference.recur", scan.recur)
        assert_equal(rounded(plain, x), expected, 1e-5)


def test_cpus_without_bfloat16_round_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel then rounds operands and multiplies in float32, with the same result but for the order of sums."""
    compiler_or_skip()
    fast, _ = twins("fgr", torch.float32, 17, 33)
    given = (torch.randn(6, 13, 17), states_of(fast, 13))
    expected = rounded(fast, *given)
    kernels.load.cache_clear()
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-mno-avx512bf16"))
    try:
        assert_equal(rounded(fast, *given), expected, 1e-2)
    except compiler.CompilerError as error:
        pytest.skip(f"this compiler has no such flag: {error}")
    finally:
        kernels.load.cache_clear()

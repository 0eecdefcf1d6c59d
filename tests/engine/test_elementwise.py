"""The kernel's own exp, sigmoid, tanh and log sigmoid over the whole range of numbers."""

import ctypes
import platform
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_fused_is_reference, compiler_or_skip, states_of, threads, twins

from lstmlab import registry
from lstmlab.engine import compiler, kernels

Array = Any
TYPES = {np.float32: torch.float32, np.float64: torch.float64}
MACHINES = {"native": "native"}
if platform.machine() == "x86_64":  # and what a kernel for ARM would be like, with the sizes of its blocks
    MACHINES |= {"avx2": "x86-64-v3", "sse2": "x86-64", "arm_sizes": "x86-64 -D__aarch64__"}


def log_sigmoid(x: Array) -> Array:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


# function, its number in the kernel, and how many units in the last place it may be wrong
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], int, float]] = {
    "exp": (np.exp, 0, 1.5),
    "sigmoid": (sigmoid, 1, 3.0),
    "tanh": (np.tanh, 2, 3.0),
    "log_sigmoid": (log_sigmoid, 3, 4.0),
}
every_function = pytest.mark.parametrize(("exact", "which", "bound"), FUNCTIONS.values(), ids=list(FUNCTIONS))
every_type = pytest.mark.parametrize("dtype", list(TYPES), ids=["float32", "float64"])


@pytest.fixture(scope="module", params=MACHINES.values(), ids=list(MACHINES))
def machine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Build kernels for CPUs with wide, middle and narrow vectors, whatever this one has."""
    compiler_or_skip()
    kernels.load.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        kept = [f for f in compiler.FLAGS if not f.startswith("-march=")]
        patch.setattr(compiler, "FLAGS", (*kept, *f"-march={request.param}".split()))
        yield request.param
    kernels.load.cache_clear()


def compute(which: int, x: Array, dtype: Any) -> Array:
    x = np.ascontiguousarray(x, dtype)
    y = np.full_like(x, -7)
    library = kernels.load(registry.cell.get("vanilla"), TYPES[dtype], False)
    library.elementwise.argtypes, library.elementwise.restype = [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2, None
    library.elementwise(which, x.size, x.ctypes.data, y.ctypes.data)
    return y


def numbers(dtype: Any) -> Array:
    """Return numbers of every size, both signs, with more of them where the functions change."""
    rng, bits = np.random.default_rng(0), {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    drawn = rng.integers(0, np.iinfo(bits).max, 50_000, dtype=bits).view(dtype)
    widths = (0.1, 2, 20, 120, 800)
    return np.concatenate([drawn[np.isfinite(drawn)], *(rng.uniform(-w, w, 30_001).astype(dtype) for w in widths)])


@every_type
@every_function
def test_errors_are_a_few_units_in_the_last_place(
    exact: Callable[[Array], Array], which: int, bound: float, dtype: Any, machine: str
) -> None:
    """Compared with extended precision, down to the smallest normal number and up to overflow."""
    x, info = numbers(dtype), np.finfo(dtype)
    with np.errstate(all="ignore"):
        wide = exact(x.astype(np.longdouble))
        rounded = wide.astype(dtype)
        found = compute(which, x, dtype)
        assert np.array_equal(np.isinf(found), np.isinf(rounded))
        assert not np.isnan(found).any()
        unit = np.spacing(np.minimum(np.abs(rounded), info.max)).astype(np.longdouble)
        wrong = np.abs(found.astype(np.longdouble) - wide)
        normal = np.isfinite(rounded) & (np.abs(wide) >= info.tiny)
        worst = np.argmax(np.where(normal, wrong / unit, 0))
    assert wrong[worst] / unit[worst] <= bound, f"at {x[worst]!r}"
    # Below: log sigmoid and exp go on, sigmoid is 0 as torch's is, for exp(-x) is infinite there.
    left = ~normal & np.isfinite(rounded)
    assert (wrong[left] <= (info.tiny if which == 1 else 2 * info.smallest_subnormal)).all()


@every_type
def test_special_numbers_keep_their_meaning(dtype: Any, machine: str) -> None:
    """Infinities, NaN and zeros of both signs give what the functions' limits are."""
    inf, nan = np.inf, np.nan
    given = np.array([-inf, inf, nan, 0.0, -0.0], dtype)
    for name, expected in {
        "exp": [0, inf, nan, 1, 1],
        "sigmoid": [0, 1, nan, 0.5, 0.5],
        "tanh": [-1, 1, nan, 0.0, -0.0],
        "log_sigmoid": [-inf, 0, nan, -np.log(2), -np.log(2)],
    }.items():
        found = compute(FUNCTIONS[name][1], given, dtype)
        np.testing.assert_allclose(found, np.array(expected, dtype), rtol=np.finfo(dtype).eps * 2, err_msg=name)
        if name == "tanh":
            assert np.signbit(found[3:]).tolist() == [False, True]


@every_type
@every_function
def test_what_is_left_over_is_computed_alike(
    exact: Callable[[Array], Array], which: int, bound: float, dtype: Any, machine: str
) -> None:
    """An array that does not fill its last vector has the same values, and nothing is written past its end."""
    x = np.random.default_rng(1).normal(size=37).astype(dtype)
    whole = compute(which, np.concatenate([x, x]), dtype)
    for count in range(1, 38):
        padded = np.full(64, -7, dtype)
        padded[:count] = compute(which, x[:count], dtype)
        assert np.array_equal(padded[:count], whole[:count])


@every_type
@pytest.mark.parametrize("cell", ["gru", "slstm"])
def test_kernels_for_other_cpus_are_right(cell: str, dtype: Any, machine: str) -> None:
    """Narrower vectors have other blocks and remainders; the result is the same."""
    torch.manual_seed(0)
    for steps, batch, features, hidden in [(1, 1, 1, 1), (5, 13, 17, 33), (17, 40, 3, 7)]:
        fast, plain = twins(cell, TYPES[dtype], features, hidden, zoneout=0.3, recurrent_dropout=0.3)
        x = torch.randn(steps, batch, features, dtype=TYPES[dtype])
        lengths = torch.randint(steps + 1, (batch,))
        with threads(2):
            assert_fused_is_reference(fast, plain, x, states_of(fast, batch), lengths, torch.rand(steps, batch) < 0.2)

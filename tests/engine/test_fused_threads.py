"""Threads change the speed of the fused path and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from parity import assert_equal, every_dtype, every_fused, everything, only_fused, states_of, threads, twins
from torch import Tensor

from lstmlab.engine import kernels


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@every_dtype
@every_fused
def test_results_do_not_depend_on_threads(cell: str, dtype: torch.dtype) -> None:
    """Outputs, states and all gradients that no two rows share are the same to the last bit."""
    fast, _ = twins(cell, dtype, 5, 19, num_layers=2)
    x, hx = torch.randn(30, 13, 5, dtype=dtype), states_of(fast, 13)
    found = []
    for count in (1, 2, 3):
        with threads(count), only_fused():
            found.append(everything(fast, x, hx, list(range(18, 31))))
    own = ["output", *fast.cell.states, "grad x", *(f"grad {s}_0" for s in fast.cell.states)]
    for other in found[1:]:
        assert [k for k in own if not torch.equal(other[k], found[0][k])] == []
        assert_equal(other, found[0])


@every_dtype
@every_fused
def test_a_run_can_be_repeated_to_the_last_bit(cell: str, dtype: torch.dtype) -> None:
    """Gradients too, with several threads."""
    fast, _ = twins(cell, dtype, 5, 19, zoneout=0.2)
    x = torch.randn(80, 13, 5, dtype=dtype)
    with threads(2):
        first, *others = [everything(fast, x) for _ in range(4)]
    assert all(torch.equal(other[k], first[k]) for other in others for k in first)


@pytest.mark.parametrize("cell", ["fgr", "mingru"])
def test_ordinary_threads_serve_where_openmp_is_missing(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch's own threads compute and what the kernel's own compute is the same to the last bit."""
    fast, _ = twins(cell, torch.float64, 5, 19)
    given = (torch.randn(90, 13, 5, dtype=torch.float64), states_of(fast, 13))
    found = []
    for team in (kernels._team(), None):
        monkeypatch.setattr(kernels, "_team", lambda team=team: team)
        with threads(3):
            found.append(everything(fast, *given))
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])


def test_more_threads_than_rows_or_than_a_machine_has() -> None:
    """Rows are shared by as many threads as there are rows, 300 for example."""
    fast, _ = twins("peephole", torch.float64)
    x = torch.randn(3, 300, 3, dtype=torch.float64)
    for rows in (x, x[:, :2]):
        expected = everything(fast, rows)
        with threads(400):
            assert_equal(everything(fast, rows), expected)


def test_layers_can_run_at_the_same_time() -> None:
    """Kernels called from several threads of Python share their spare memory, and do not disturb each other."""
    layers = [twins(cell, torch.float32, 7, 24)[0] for cell in ("vanilla", "gru", "vanilla", "slstm")]
    inputs = [torch.randn(40 + i, 9, 7) for i in range(4)]
    expected = [gradients(*pair) for pair in zip(layers, inputs, strict=True)]
    together = threading.Barrier(4)

    def work(i: int) -> list[Any]:
        together.wait()
        return [gradients(layers[i], inputs[i]) for _ in range(30)]

    with ThreadPoolExecutor(4) as pool:
        for i, found in enumerate(pool.map(work, range(4))):
            for one in found:
                torch.testing.assert_close(one, expected[i], rtol=0, atol=0)


def gradients(rnn: Any, x: Tensor) -> tuple[Tensor, ...]:
    output, _ = rnn(x)
    return (output.detach(), *torch.autograd.grad(output.square().sum(), list(rnn.parameters())))

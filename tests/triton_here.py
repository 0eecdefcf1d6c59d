"""What tests of the GPU engine share: where it can run, and how it runs on the CPU."""

from __future__ import annotations

import importlib.util
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import torch

from lstmlab.engine import dispatch, fused, scan
from lstmlab.engine.dispatch import Path
from lstmlab.engine.gpu import graphs, loops, operators

INSTALLED = importlib.util.find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
needs_triton = pytest.mark.skipif(not INSTALLED, reason="Triton is not installed: `make test-triton` installs it")
interpreted = pytest.mark.skipif(not INTERPRETED, reason="without TRITON_INTERPRET=1 nothing is interpreted")
compiled = pytest.mark.skipif(INTERPRETED, reason="with TRITON_INTERPRET=1 nothing is compiled")
on_gpu = pytest.mark.skipif(INTERPRETED or not torch.cuda.is_available(), reason="there is no CUDA device here")


def with_triton(test: Any) -> Any:
    """Mark a test that needs Triton; `make test-triton` runs it."""
    return pytest.mark.triton(needs_triton(test))


def refuse(*_: object) -> NoReturn:
    """Stand in for what is not to compute a recurrence."""
    raise AssertionError("this was to run in Triton's kernels")


@pytest.fixture(name="device", params=[pytest.param("cpu", marks=interpreted), pytest.param("cuda", marks=on_gpu)])
def device_of_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A device on which all that is not the reference is the GPU's code, in segments of 4 steps at most."""
    torch.manual_seed(0)
    monkeypatch.setattr(loops, "LONGEST", 4)
    monkeypatch.setattr(graphs, "_loops", OrderedDict())
    monkeypatch.setattr(scan, "recur", refuse)
    if request.param == "cpu":
        monkeypatch.setattr(dispatch, "path", lambda *_: Path("fused", "interpreted"))
        fused.register("cpu", operators.forward, operators.backward)
    yield request.param
    if request.param == "cpu":
        fused.register("cpu", fused._forward._init_fn, fused._backward._init_fn)

"""Loops that are kept for the next pass, and the CUDA graphs that replay their steps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from lstmlab.engine.gpu.loops import Case, Loop

KEPT = 16  # loops, the least recently used of which makes room for another
L = TypeVar("L", bound=Loop)

_loops: OrderedDict[Any, Loop] = OrderedDict()
_one_at_a_time = threading.RLock()  # a loop has one set of buffers


@contextmanager
def borrow(kind: type[L], case: Case, sizes: Iterable[int]) -> Iterator[L]:
    """Lend the loop of a case, with graphs for segments of these sizes; nobody else has it meanwhile.

    Work of one stream follows in order, so that a loop can be lent again before the device is
    through with it; other streams get loops of their own. Inside somebody else's capture the loop
    is a new one, since that graph holds on to its buffers.
    """
    with _one_at_a_time, _device(case.device):
        if case.device.type != "cuda":
            yield _find(kind, case, 0)
        elif torch.cuda.is_current_stream_capturing():
            yield kind(case)
        else:
            loop = _find(kind, case, torch.cuda.current_stream().cuda_stream)
            for steps in {*sizes} - {*loop.graphs}:
                loop.graphs[steps] = _capture(loop, steps)
            yield loop


def run(loop: Loop, steps: int) -> None:
    """Do the first ``steps`` steps of a loop's buffers: by one replay where it has a graph of them."""
    if steps in loop.graphs:
        loop.graphs[steps].replay()
    else:
        loop.run(steps)


def _find(kind: type[L], case: Case, stream: int) -> L:
    key = (kind, case, stream)
    if key not in _loops:
        _loops[key] = kind(case)
        if len(_loops) > KEPT:
            _loops.popitem(last=False)
    _loops.move_to_end(key)
    found = _loops[key]
    assert isinstance(found, kind)
    return found


def _capture(loop: Loop, steps: int) -> torch.cuda.CUDAGraph:
    """Return a graph of the first ``steps`` steps; what the buffers hold is lost."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        loop.run(steps)  # compiles kernels and lets cuBLAS choose, which a capture must not
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # other threads may go on using the device: a loader that pins memory, for example
    with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
        loop.run(steps)
    return graph


@contextmanager
def _device(device: torch.device) -> Iterator[None]:
    """Compute there, and in the types that are asked for rather than those of autocast."""
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
        else:
            with torch.cuda.device(device):
                yield

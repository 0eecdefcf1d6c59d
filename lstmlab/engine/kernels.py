"""Compiled kernels: loading them, and calling them with tensors."""

from __future__ import annotations

import ctypes
import math
import mmap
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.engine import ccode, compiler
from lstmlab.memo import memo

REALS = {torch.float32: "float", torch.float64: "double"}
NUMBERS = ("steps", "batch", "features", "hidden", "threads", "reverse", "keep")
TENSORS = (
    *("x", "weight_ih", "weight_hh", "bias", "vectors", "initial", "starts"),
    *("lengths", "resets", "drop", "zones", "zone"),
    *("kept", "output", "others", "finals"),
    *("grad_output", "grad_finals"),
    *("grad_x", "grad_ih", "grad_hh", "grad_initial", "grad_starts", "grad_units"),
)
PRIVATE = 160  # bytes at the end of the struct that are the kernel's own, with room to spare
LARGE = 4 << 20  # bytes
POOL = 512 << 20  # bytes that are kept for use again
SMALL = 1 << 16  # units times steps below which a second thread costs more than it brings


_pool: list[mmap.mmap] = []
_pages_lock = threading.Lock()


class Job(ctypes.Structure):
    """The beginning of the struct of the same name in ``kernel/job.c``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in TENSORS),
        ("private", ctypes.c_char * PRIVATE),
    )


@memo
def load(cell: type[Cell], dtype: torch.dtype, rounded: bool) -> ctypes.CDLL:
    """Return the kernel of a cell, built if need be.

    Raises:
        CompilerError: when it cannot be built.
    """
    kind = "bfloat16" if rounded else REALS[dtype]
    library = compiler.build(ccode.source(cell, REALS[dtype], rounded), f"{cell.__name__.lower()}-{kind}")
    for function in (library.forward, library.backward):
        function.restype = ctypes.c_int64
        function.argtypes = [ctypes.POINTER(Job), ctypes.c_void_p]
    return library


def call(library: ctypes.CDLL, name: str, numbers: dict[str, int], tensors: dict[str, Tensor | None]) -> None:
    """Call the kernel's function ``name``; the tensors are contiguous and of the kernel's type.

    Raises:
        MemoryError: when the kernel gets no memory for what it needs itself.
    """
    batch, hidden = numbers["batch"], numbers["hidden"]
    threads = min(torch.get_num_threads(), batch) if numbers["steps"] * batch * hidden >= SMALL else 1
    pointers = {k: t.data_ptr() for k, t in tensors.items() if t is not None}
    job = Job(**numbers, threads=threads, **pointers)
    if getattr(library, name)(ctypes.byref(job), _team()):
        raise MemoryError(f"no memory for the {name} pass of a recurrence over {batch} rows of {hidden} units")


def empty(*shape: int, dtype: torch.dtype) -> Tensor:
    """Return an uninitialised tensor; a large one lies in huge pages, used again once it is freed.

    What backward needs is written once and read once: the operating system's work on fresh pages
    of 4 KiB would cost more time than that.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(shape, dtype=dtype)
    with _pages_lock:
        memory = _pages(size)
        return torch.frombuffer(memory, dtype=dtype, count=math.prod(shape)).view(shape)


def _holders(objects: list[Any]) -> list[int]:
    """Return how many hold each object, with the list and what counts them: how many those are depends on Python."""
    return [sys.getrefcount(o) for o in objects]


UNUSED = _holders([object()])[0]


def _pages(size: int) -> mmap.mmap:
    """Return memory that no tensor uses, from the pool if some of it fits."""
    for memory, holders in zip(_pool, _holders(_pool), strict=True):
        if holders == UNUSED and size <= len(memory) <= 2 * size:
            return memory
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    _pool.append(memory)
    while sum(map(len, _pool)) > POOL and len(_pool) > 1:
        del _pool[0]  # what a tensor still uses lives on with it
    return memory


@memo
def _team() -> Any:
    """Return torch's own pool of threads, GOMP_parallel of its OpenMP, or None.

    A pool of our own beside it would compete with torch's waiting threads for the cores.
    """
    root = Path(torch.__file__).parent
    for folder in (root / "lib", root.parent / "torch.libs"):
        for file in sorted([*folder.glob("libgomp*"), *folder.glob("libomp*"), *folder.glob("libiomp*")]):
            try:
                return ctypes.cast(ctypes.CDLL(str(file)).GOMP_parallel, ctypes.c_void_p)
            except (OSError, AttributeError):
                continue
    return None

"""Processes that need kernels: at the same time, without a compiler, without a cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from parity import compiler_or_skip

from lstmlab.engine import RNN

# What a process does that computes a cell: the value of an output, the warnings, and the engine's word.
USE = """
import sys, warnings
sys.modules["ziglang"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    from lstmlab.engine import RNN
    from lstmlab.engine.dispatch import path
    torch.manual_seed(0)
    layers = [RNN(cell, 3, 4) for cell in ("peephole", "mingru") for _ in range(2)]
    x = torch.randn(5, 2, 3)
    print(sum(layer(x)[0].sum().item() for layer in layers for _ in range(2)))
print(sum(issubclass(w.category, RuntimeWarning) for w in caught))
print([str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)])
print(path(type(layers[0].cell)).name, path(type(layers[2].cell)).name)
try:
    RNN("peephole", 3, 4, engine="fused")
    print("no error")
except ValueError as error:
    print(error)
"""


def start(tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a process that uses two cells."""
    given = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, "-c", USE]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)


def finish(process: subprocess.Popen[str]) -> tuple[float, int, str, str, str]:
    """Return the value, how many warnings and which, the paths and what engine="fused" says."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    value, count, warned, names, said = out.splitlines()
    return float(value), int(count), warned, names, said


def test_processes_that_build_at_once_do_not_meet(tmp_path: Path) -> None:
    """All get the right result, and one file for each kernel is left."""
    compiler_or_skip()
    found = {finish(process) for process in [start(tmp_path) for _ in range(2)]}
    assert len(found) == 1
    _, warned, _, names, said = found.pop()
    assert (warned, names, said) == (0, "fused fused", "no error")
    files = [p.name.rpartition("-")[0] for p in (tmp_path / "cache").rglob("*.*")]
    assert sorted(files) == ["mingru-float", "peephole-float"]


def test_without_a_compiler_one_warning_and_right_results(tmp_path: Path) -> None:
    """The reference computes what the kernel would; who insists on the fused path is told why there is none."""
    compiler_or_skip()
    value, warned, message, names, said = finish(start(tmp_path, PATH="", CC=""))
    torch.manual_seed(0)
    layers = [RNN(cell, 3, 4) for cell in ("peephole", "mingru") for _ in range(2)]
    x = torch.randn(5, 2, 3)
    assert value == pytest.approx(2 * sum(layer(x)[0].sum().item() for layer in layers), rel=1e-5)
    assert warned == 1
    assert "recurrences run in plain PyTorch, several times slower: no C compiler was found; install gcc" in message
    assert names == "reference scan"
    assert said.startswith("engine='fused' is not to be had for Peephole: no C compiler was found; ")


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path: Path) -> None:
    """Each process then builds for itself, in a temporary folder that it removes."""
    compiler_or_skip()
    (tmp_path / "cache").write_text("a file where the folder should be")
    (tmp_path / "own").mkdir()
    _, warned, message, names, said = finish(start(tmp_path, TMPDIR=str(tmp_path / "own")))
    assert (names, said) == ("fused fused", "no error")
    assert warned == 2, "one for each kernel"
    assert f"kernels cannot be kept in {tmp_path}/cache/lstmlab/kernels, so each process builds its own: " in message
    assert list((tmp_path / "own").iterdir()) == []

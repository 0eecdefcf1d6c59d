"""Building a kernel with the machine's C compiler, once, for the CPU that it runs on."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from lstmlab import paths

# No -ffast-math: infinities and NaN keep their meaning. Contraction to fused multiply-add stays allowed.
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-w")
WIDEST = "-mprefer-vector-width=512"
TIMEOUT = 120  # seconds; a build takes about one


class CompilerError(Exception):
    """There is no C compiler, or it cannot build a kernel; the message says which and why."""


@cache
def find() -> tuple[str, ...]:
    """Return the command of a C compiler: ``CC``, cc, gcc, clang, or the one of the package ziglang.

    Raises:
        CompilerError: when there is none.
    """
    chosen = os.environ.get("CC")
    if chosen:
        return tuple(shlex.split(chosen))
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path:
            return (path,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    raise CompilerError("no C compiler was found; install gcc or clang, or `pip install 'lstmlab[compiler]'`")


@cache
def describe() -> str:
    """Return the first line of what the compiler says of its version.

    Raises:
        CompilerError: when it cannot be run.
    """
    try:
        done = subprocess.run([*find(), "--version"], capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"the C compiler {shlex.join(find())} cannot be run: {error}") from None
    if done.returncode:
        raise CompilerError(f"the C compiler {shlex.join(find())} cannot be run: {_last_line(done.stderr)}")
    return done.stdout.partition("\n")[0].strip()


@cache
def cpu() -> str:
    """Return what tells this machine's CPU from others for which a kernel would be another one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))


def build(source: str, name: str) -> ctypes.CDLL:
    """Return the library compiled from C ``source``, from the cache if it was built before.

    Concurrent builds of the same kernel do not meet: each writes a file of its own, and the last
    rename wins with the same content.

    Raises:
        CompilerError: when there is no compiler or it refuses the source.
    """
    flags = (*FLAGS, WIDEST) if "AVX512" in source and _is_gcc() else FLAGS
    identity = "\0".join([source, *flags, *find(), describe(), cpu()])
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    target = paths.cache() / "kernels" / f"{name}-{key}.so"
    if not target.is_file():
        _compile(source, flags, target)
    return ctypes.CDLL(str(target))


def _is_gcc() -> bool:
    return platform.machine() == "x86_64" and "clang" not in describe() and "zig" not in " ".join(find())


def _compile(source: str, flags: tuple[str, ...], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            file, built = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
            file.write_text(source, encoding="utf-8")
            command = [*find(), *flags, str(file), "-o", str(built), "-lpthread"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
            if done.returncode:
                raise CompilerError(f"{shlex.join(find())} could not build a kernel: {_last_line(done.stderr)}")
            os.replace(built, target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"a kernel could not be built in {target.parent}: {error}") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]

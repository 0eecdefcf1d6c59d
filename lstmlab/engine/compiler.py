"""Building a kernel with the machine's C compiler, once, for the CPU that it runs on."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
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
    if chosen and chosen.strip():
        try:
            return tuple(shlex.split(chosen))
        except ValueError as error:
            raise CompilerError(f"CC={chosen!r} cannot be read as a command: {error}") from None
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
        done = _run([*find(), "--version"])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"the C compiler {shlex.join(find())} cannot be run: {error}") from None
    if done.returncode:
        raise CompilerError(f"the C compiler {shlex.join(find())} cannot be run: {_reason(done.stderr)}")
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
    rename wins with the same content. Where the cache cannot be used, the library lives as long as
    the process.

    Raises:
        CompilerError: when there is no compiler or it refuses the source.
    """
    flags = (*FLAGS, WIDEST) if "AVX512" in source and _is_gcc() else FLAGS
    identity = "\0".join([source, *flags, *find(), describe(), cpu()])
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    target = paths.cache() / "kernels" / f"{name}-{key}.so"
    with contextlib.suppress(OSError):  # there is none yet, or it is damaged
        return ctypes.CDLL(str(target))
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = _compile(source, flags, Path(folder))
            try:
                _keep(made, target)
                return ctypes.CDLL(str(target))
            except OSError as error:
                reason = f"kernels cannot be kept in {target.parent}, so each process builds its own: {error}"
                warnings.warn(reason, RuntimeWarning, stacklevel=2)
                return ctypes.CDLL(str(made))  # once loaded, it needs no file
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompilerError(f"a kernel could not be built: {error}") from None


def _is_gcc() -> bool:
    return platform.machine() == "x86_64" and "clang" not in describe() and "zig" not in " ".join(find())


def _compile(source: str, flags: tuple[str, ...], folder: Path) -> Path:
    file, made = folder / "kernel.c", folder / "kernel.so"
    file.write_text(source, encoding="utf-8")
    done = _run([*find(), *flags, str(file), "-o", str(made), "-lpthread"])
    if done.returncode:
        raise CompilerError(f"{shlex.join(find())} could not build a kernel: {_reason(done.stderr)}")
    return made


def _keep(made: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        os.replace(shutil.copy(made, folder), target)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    plain = os.environ | {"LC_ALL": "C"}  # messages in English, for `_reason`
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=plain, timeout=TIMEOUT)


def _reason(text: str) -> str:
    """Return the first line that speaks of an error, or the last one."""
    lines = text.strip().splitlines() or ["no message"]
    return next((line.strip() for line in lines if re.search("error|failed|cannot", line, re.IGNORECASE)), lines[-1])

"""A kernel is built once, for a source, a compiler and a CPU; where it cannot be, the reason is told."""

import re
import sys
from pathlib import Path

import pytest
from parity import compiler_or_skip

from lstmlab import paths, registry
from lstmlab.engine import ccode, compiler
from lstmlab.engine.compiler import CompilerError

ANSWER = "int answer(void) { return %d; }"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def _without_memory() -> object:
    """Let the compiler be looked for anew."""

    def forget() -> None:
        compiler.find.cache_clear()
        compiler.describe.cache_clear()

    forget()
    yield
    forget()


def built() -> list[Path]:
    return sorted(p for p in paths.cache().rglob("*") if p.is_file())


def test_a_kernel_is_built_once() -> None:
    """The second time it comes from the cache, and nothing is left of the first build but the library."""
    compiler_or_skip()
    assert compiler.build(ANSWER % 42, "answer").answer() == 42
    (file,) = built()
    before = file.stat().st_mtime_ns
    assert compiler.build(ANSWER % 42, "answer").answer() == 42
    assert [f.stat().st_mtime_ns for f in built()] == [before]


def test_what_differs_is_built_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Source, flags, compiler and CPU are all part of a kernel's identity."""
    compiler_or_skip()
    for change in [
        lambda: None,
        lambda: monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-O1")),
        lambda: monkeypatch.setattr(compiler, "describe", lambda: "another version"),
        lambda: monkeypatch.setattr(compiler, "cpu", lambda: "another CPU"),
    ]:
        change()
        compiler.build(ANSWER % 1, "answer")
    assert compiler.build(ANSWER % 2, "answer").answer() == 2
    assert len(built()) == 5


def test_types_and_cells_have_sources_of_their_own() -> None:
    cells = [registry.cell.get(name) for name in ("vanilla", "peephole", "gru")]
    sources = {ccode.source(c, *kind) for c in cells for kind in [("float", False), ("float", True), ("double", False)]}
    assert len(sources) == 9


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"PATH": "", "CC": ""}, "no C compiler was found; install gcc or clang, or `pip install 'lstmlab[compiler]'`"),
        ({"CC": "/nowhere/cc -O9"}, "the C compiler /nowhere/cc -O9 cannot be run: "),
        ({"CC": "false"}, "the C compiler false cannot be run: no message"),
        ({"CC": "cc '"}, """CC="cc '" cannot be read as a command: No closing quotation"""),
        ({"CC": sys.executable}, f"{sys.executable} could not build a kernel: "),
    ],
    ids=["none", "missing", "failing", "unreadable", "no_compiler"],
)
@pytest.mark.usefixtures("_without_memory")
def test_the_reason_why_there_is_no_kernel_is_told(
    environment: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ziglang", None)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CompilerError, match=re.escape(reason)):
        compiler.build(ANSWER % 1, "answer")


def test_a_source_that_does_not_compile_is_refused_with_the_compilers_reason() -> None:
    """The line that names the error is shown, not the last of many."""
    compiler_or_skip()
    with pytest.raises(CompilerError, match=r"could not build a kernel: .*kernel\.c:1:.* error: "):
        compiler.build("int answer(void) { return nothing; }\n" * 3, "answer")
    assert built() == []


@pytest.mark.parametrize("damage", [b"", b"no library", b"\x7fELF\x02\x01\x01"])
def test_a_damaged_library_is_built_anew(damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler_or_skip()
    compiler.build(ANSWER % 3, "answer")
    (file,) = built()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    damaged = paths.cache() / "kernels" / file.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(damage)
    assert compiler.build(ANSWER % 3, "answer").answer() == 3
    assert damaged.stat().st_size > 1000


def test_with_nowhere_to_write_the_reason_is_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler_or_skip()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(CompilerError, match=r"a kernel could not be built: .*No such file or directory: .*nowhere"):
        compiler.build(ANSWER % 4, "answer")


def test_a_full_disk_is_done_without(full_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the attempt is left there."""
    compiler_or_skip()
    (full_disk / "filler").write_bytes(b"x" * (56 << 10))
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk))
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert compiler.build(ANSWER % 5, "answer").answer() == 5
    assert built() == []


@pytest.mark.usefixtures("_without_memory")
def test_the_compiler_is_chosen_by_cc_then_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``CC`` may hold options; without it cc, gcc and clang are looked for, in this order."""
    monkeypatch.setenv("CC", "python -m 'some cc'")
    assert compiler.find() == ("python", "-m", "some cc")
    monkeypatch.setenv("CC", " ")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("clang", "gcc", "cc"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        compiler.find.cache_clear()
        assert compiler.find() == (str(tmp_path / name),)

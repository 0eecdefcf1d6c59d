"""What `lstmlab bench` is asked to time."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from lstmlab import machine, paths, registry
from lstmlab.errors import LstmlabError

T = TypeVar("T")
DTYPES = ("float32", "float64", "bfloat16")
DESCRIPTION = """\
Time every cell here against torch's nn.LSTM (nn.GRU for gru), in one process and alternating:

  auto        the path that the layer takes by itself
  reference   plain PyTorch over the cell's equations
  by hand     the loop that one would write oneself, for vanilla and peephole

forward under no_grad, and forward + backward with the gradients of input and weights.
"""
EPILOG = """\
How to read it:
  path        what the layer chose by itself
  × torch     median over rounds of (time of torch's layer / time of the cell in the same round), at equal
              sizes: above 1 is faster; quartiles, or ± half their distance, say how far to trust it
  per FLOP    the same, scaled by how many more or fewer operations the cell's equations have

Files in --out: bench.csv (a row per measurement), bench.json (every single time, and facts of the
machine), bench.png. The first two are written as it goes: an interruption keeps what has been measured.

Examples:
  lstmlab bench --cells vanilla,peephole --shapes 100x32x64x128 --threads 1
  lstmlab bench --dtype bfloat16 --no-reference
  lstmlab bench --rounds 5 --budget 0.5                  a quick look
  lstmlab bench studies                                  instead: what a study costs beyond its trainings
"""


class Shape(NamedTuple):
    """Steps, sequences, features per step, units."""

    time: int
    batch: int
    features: int
    hidden: int

    def __str__(self) -> str:
        return "×".join(map(str, self))


SHAPES = (
    Shape(100, 32, 64, 128),
    Shape(100, 64, 128, 256),
    Shape(50, 20, 200, 200),
    Shape(128, 16, 40, 512),
    Shape(784, 64, 1, 128),
    Shape(35, 20, 650, 650),
)


@dataclass(frozen=True)
class Options:
    """What to time, and how.

    Attributes:
        cells: registered names.
        threads: numbers of threads, one after the other.
        rounds: how often each is timed, at most.
        budget: seconds after which a slow one is timed no more, if it was timed three times.
        dtype: one of `DTYPES`; bfloat16 is float32 under autocast.
        reference: time the reference path and the loops by hand too.
        out: folder that results are written to.
    """

    cells: tuple[str, ...]
    shapes: tuple[Shape, ...]
    threads: tuple[int, ...]
    rounds: int
    budget: float
    dtype: str
    reference: bool
    out: Path


def parse(arguments: Sequence[str]) -> Options:
    """Return the options that a command line asks for.

    Raises:
        LstmlabError: for a cell that is not registered and for values that cannot be; what
            argparse itself refuses ends the program, as it does in every command.
    """
    given = parser().parse_args(arguments)
    cells = _list(given.cells, str) if given.cells is not None else tuple(registry.cell)
    for cell in cells:
        registry.cell.entry(cell)
    if given.rounds < 1 or not given.budget >= 0:
        raise LstmlabError("--rounds must be 1 or more and --budget 0 or more")
    threads = _list(given.threads, _count) if given.threads is not None else (1, machine.cores())
    return Options(
        cells=cells,
        shapes=_list(given.shapes, _shape) if given.shapes is not None else SHAPES,
        threads=tuple(dict.fromkeys(threads)),
        rounds=given.rounds,
        budget=given.budget,
        dtype=given.dtype,
        reference=given.reference,
        out=Path(given.out).expanduser() if given.out else paths.outputs(None) / "bench",
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of `lstmlab bench`."""
    made = argparse.ArgumentParser(
        prog="lstmlab bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shapes = ",".join("x".join(map(str, s)) for s in SHAPES)
    add = made.add_argument
    add("--cells", metavar="A,B", help="cells to time (default: all that are registered)")
    add("--shapes", metavar="TxBxIxH,...", help=f"steps x sequences x features x units (default: {shapes})")
    add("--threads", metavar="N,M", help="numbers of threads (default: 1 and all cores)")
    add("--dtype", choices=DTYPES, default="float32", help="bfloat16 means under autocast (default: float32)")
    add("--rounds", metavar="N", type=int, default=15, help="times that each is timed, at most (default: 15)")
    add(
        "--budget",
        metavar="SECONDS",
        type=float,
        default=2.0,
        help="stop timing a slow one after so long, but not before three rounds (default: 2)",
    )
    add(
        "--no-reference",
        dest="reference",
        action="store_false",
        help="leave out the reference path and the loops by hand, which take most of the time",
    )
    add("--out", metavar="DIR", help="folder for bench.csv, bench.json and bench.png (default: outputs/bench)")
    return made


def _list(text: str, convert: Callable[[str], T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(convert(part.strip()) for part in text.split(",")))


def _shape(text: str) -> Shape:
    found = re.fullmatch(r"(\d+)[x×](\d+)[x×](\d+)[x×](\d+)", text)
    sizes = [int(size) for size in found.groups()] if found else []
    if not sizes or min(sizes) < 1:
        raise LstmlabError(f"The shape {text!r} is not steps x sequences x features x units, as 100x32x64x128 is")
    return Shape(*sizes)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise LstmlabError(f"--threads {text!r}: a number of threads is 1 or more")
    return int(text)

"""Times everything that was asked for, and writes it down as it goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import pandas as pd
import torch

from lstmlab import machine
from lstmlab.bench.entries import MODES, Entry, entries, operations, path, prepare
from lstmlab.bench.figure import draw
from lstmlab.bench.options import Options, Shape
from lstmlab.bench.table import Measurement, case_text, summarise, summary_text
from lstmlab.bench.timing import alternate, warm_up
from lstmlab.errors import LstmlabError
from lstmlab.progress import bar

FORMAT = 1
FILES = {"table: ": "bench.csv", "times: ": "bench.json", "figure:": "bench.png"}


class Bench(NamedTuple):
    """What was found.

    Attributes:
        table: as `summarise` makes it.
        failures: what could not be timed in at least one case -> why.
    """

    table: pd.DataFrame
    failures: dict[str, str]


def bench(options: Options) -> Bench:
    """Time what ``options`` ask for, print tables and write files.

    An entry that raises is left out of that case; the others go on.

    Raises:
        LstmlabError: when the folder cannot be written to, or nothing could be timed.
    """
    _check(options.out)
    done: list[Measurement] = []
    failures: dict[str, str] = {}
    cases = list(product(options.shapes, options.threads, MODES))
    progress = bar(len(cases), "timing", unit="case")
    before = torch.get_num_threads()
    try:
        for shape, threads, mode in cases:
            torch.set_num_threads(threads)
            case = _measure(options, shape, threads, mode, failures)
            done += case
            _write(options, done, failures)
            progress.write(case_text(summarise(case)))
            progress.update()
    finally:
        torch.set_num_threads(before)
        progress.close()
    table = summarise(done)
    if set(table.engine) == {"torch"}:
        raise LstmlabError(f"Nothing could be timed: {next(iter(failures.values()))}")
    draw(table, options.out / "bench.png")
    print(summary_text(table))
    print("\n".join(f"{what} {options.out / name}" for what, name in FILES.items()))
    return Bench(table, failures)


def _measure(options: Options, shape: Shape, threads: int, mode: str, failures: dict[str, str]) -> list[Measurement]:
    calls: dict[Entry, Callable[[], None]] = {}
    for entry in entries(options):
        try:
            calls[entry] = prepare(entry, shape, mode, options)
            warm_up(calls[entry])
        except Exception as error:
            if entry.engine == "torch":  # nothing can be compared then
                raise
            calls.pop(entry, None)
            failures[f"{entry.cell} ({entry.engine}), {mode}"] = f"{type(error).__name__}: {error}"
    always = frozenset(entry for entry in calls if entry.engine == "torch")
    seconds = alternate(calls, always, options.rounds, options.budget)
    return [
        Measurement(
            entry,
            shape,
            threads,
            mode,
            options.dtype,
            path(entry, options),
            operations(entry, shape, mode),
            seconds[entry],
        )
        for entry in calls
    ]


def _write(options: Options, done: list[Measurement], failures: dict[str, str]) -> None:
    """Write all times, with what is needed to judge them, and the table of what has been measured."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "settings": asdict(options) | {"out": str(options.out), "shapes": [str(s) for s in options.shapes]},
        "failures": failures,
        "measurements": [m.facts | {"seconds": m.seconds} for m in done],
    }
    _replace(options.out / "bench.json", json.dumps(record, indent=1))
    _replace(options.out / "bench.csv", summarise(done).to_csv(index=False))


def _check(out: Path) -> None:
    """Refuse a folder that cannot be written to before anything is timed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()
    except OSError as error:
        raise LstmlabError(f"--out {out} cannot be written: {error.strerror}") from None


def _replace(file: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    beside = file.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)

"""What a study costs beyond its trainings: `lstmlab bench studies`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import psutil

from lstmlab.machine import cores
from lstmlab.schema import LaunchConfig
from lstmlab.studies.expand import plan
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch import Options, launch
from lstmlab.studies.store import Result, Store
from lstmlab.studies.study import Study

SMALL = ["task=adding", "task.length=10", "task.samples=50", "task.epoch=64", "cell=vanilla", "train.steps=5"]
ROUNDS = 3
PLANNED = 1_000
STORED = 10_000
EPILOG = """\
overhead     time from one result to the next, less the seconds of the training steps (or less all of the run:
             building the model, data and evaluation too); one warm worker
throughput   runs a second, after the workers are warm; the ratio is the median over rounds that alternate
memory       of the driver, and how much the results of so many runs add to it

Leave the machine alone meanwhile: two workers on two busy cores are no faster than one.
"""


@dataclass(frozen=True)
class Pass:
    """Some runs, one after the other has ended.

    Attributes:
        ends: when each result came, in seconds.
        grown: bytes by which the driver grew from the first result to the last.
    """

    results: list[Result]
    ends: list[float]
    grown: int

    @property
    def rate(self) -> float:
        """Runs a second, without the time until the first result."""
        return (len(self.ends) - 1) / (self.ends[-1] - self.ends[0])

    def overhead(self, key: str) -> float:
        """Mean seconds between results beyond what ``key`` of the results accounts for; of one worker."""
        between = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
        return between - fmean(result[key] for result in self.results[1:])


def bench(arguments: Sequence[str]) -> int:
    """Measure and print; everything is written to a folder that is removed again."""
    parser = argparse.ArgumentParser(
        prog="lstmlab bench studies",
        description="Measure what a study costs beyond its trainings.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="runs of each number of workers (200)")
    given = parser.parse_args(arguments)
    if given.runs < 4 * ROUNDS:
        parser.error(f"--runs must be {4 * ROUNDS} or more")
    with tempfile.TemporaryDirectory(prefix="lstmlab-bench-") as folder:
        for line in measure(given.runs, Path(folder)):
            print(line, flush=True)
    return 0


def measure(runs: int, folder: Path) -> Iterator[str]:
    """Yield what was measured, a line each."""
    yield from _planning()
    rounds = [[_run(-(-runs // ROUNDS), n, folder / f"{i}-{n}") for n in (1, 2)] for i in range(ROUNDS)]
    single, double = zip(*rounds, strict=True)
    steps, all_ = (fmean(p.overhead(key) for p in single) for key in ("seconds", "wall_seconds"))
    yield f"overhead:   {steps:.3f} s a run beyond its training steps, {all_:.3f} s beyond all of the run ({runs} runs)"
    ratios = [b.rate / a.rate for a, b in zip(single, double, strict=True)]
    rates = [fmean(p.rate for p in some) for some in (single, double)]
    yield (
        f"throughput: {rates[0]:.1f} runs a second with one worker, {rates[1]:.1f} with two: "
        f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) on {cores()} cores"
    )
    grown = max(p.grown for p in (*single, *double)) / 1e6
    yield f"memory:     {grown:.1f} MB more in the driver, of {_memory() / 1e6:.0f}, after {len(single[0].ends)} runs"
    yield from _listing(folder / "many", single[0].results[0])


def _planning() -> Iterator[str]:
    overrides = ["study=variants", "task=climate,adding", f"seed=range({-(-PLANNED // 6)})"]
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        planned = plan(overrides)
        seconds.append(time.perf_counter() - began)
    count, (first, later) = len(planned.specs), seconds
    yield f"planning:   {count:,} runs expanded and hashed in {later:.2f} s (in a new process {first:.2f} s)"


def _run(count: int, workers: int, outputs: Path) -> Pass:
    specs = plan(["study=variants", *SMALL, f"seed=range({count})"]).specs
    store = Store(outputs)
    store.prepare()
    results, ends, sizes = [], [], []
    for event in launch(specs, store, Options(LaunchConfig("processes"), workers)):
        if event.result is not None:
            results.append(event.result)
            ends.append(time.perf_counter())
            sizes.append(_memory())
    return Pass(results, ends, sizes[-1] - sizes[0])


def _listing(outputs: Path, result: Result) -> Iterator[str]:
    overrides = [*SMALL, "cell=vanilla,peephole", f"seed=range({STORED // 2})", f"outputs={outputs}"]
    study = Study("variants", overrides)
    _store(study.specs, study.store, result)
    study.write_plan()
    before, began = _memory(), time.perf_counter()
    study.table()
    seconds = time.perf_counter() - began
    yield f"listing:    {STORED:,} runs in {seconds:.2f} s, {(_memory() - before) / 1e6:.0f} MB"
    began = time.perf_counter()
    command = [sys.executable, "-m", "lstmlab", "status", f"outputs={outputs}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    yield f"status:     `lstmlab status` of them in {time.perf_counter() - began:.2f} s: {said.strip()}"


def _store(specs: Sequence[Spec], store: Store, result: Result) -> None:
    """Make a store of many finished runs, each with the files of one that was done."""
    for spec in specs:
        folder = store.folder(spec)
        folder.mkdir(parents=True)
        for name in ("config.yaml", "metrics.jsonl", "fitted.json", "weights.safetensors"):
            (folder / name).touch()
        own = {"id": spec.id, "cell": spec.config.cell.name, "seed": spec.config.seed}
        (folder / "result.json").write_text(json.dumps(result | own, indent=1), encoding="utf-8")


def _memory() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)

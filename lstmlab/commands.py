"""What each command of the command line does. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstmlab.errors import LstmlabError
from lstmlab.store_commands import ACTIONS, status

if TYPE_CHECKING:
    from lstmlab.cells import Cell
    from lstmlab.studies.study import Study

STUDY = """\
Overrides:
  study=NAME                   which study, a file of conf/study (default: variants)
  task=A,B cell=A,B seed=0,1   narrow it
  outputs=DIR                  write everything there
  workers=N                    worker processes (default: one per core)
  train.steps=100 ...          anything else is handed to every run
  study.search=tpe             tune each cell by itself first; conf/study/default.yaml says what is searched
"""
STORED = """
What is stored:
  lstmlab study export FILE.tar   write finished runs to one file, with their hashes
  lstmlab study import FILE.tar   take them into another store; nothing finished is overwritten
  lstmlab study prune             list runs that no study consists of any more, and delete them
"""


def list_(kind: str | None = None, verbose: bool = False) -> None:
    """Print what is registered, with where it comes from, and plugins that could not be imported."""
    from lstmlab import plugins, registry

    for title, names in registry.KINDS.items():
        if kind not in (None, title):
            continue
        print(title)
        entries = [names.entry(name) for name in names]
        width = max((len(e.name) for e in entries), default=0)
        for entry in entries:
            print(f"  {entry.name:<{width}}  {entry.summary}")
            if verbose and title == "cells":
                print(f"  {'':<{width}}  {_path(entry.load())}")
            print(f"  {'':<{width}}  {entry.origin}")
        print()
    for where, reason in plugins.failures.items():
        print(f"left out: {where}\n  {reason}")


def _path(cell: type[Cell]) -> str:
    """Return how a cell is computed on this machine, why, and what a layer of 128 units costs."""
    from lstmlab.engine.costs import flops, parameters
    from lstmlab.engine.dispatch import path

    found = path(cell)
    cost = f"{parameters(cell, 128, 128):,} parameters, {flops(cell, 128, 128).forward:,} FLOPs a step at 128 → 128"
    return f"{found.name}: {found.reason}; {cost}"


def _warn_of_plugins() -> None:
    """Say which plugins were left out: what the user asks for may be in one of them."""
    from lstmlab import plugins

    plugins.discover()
    for where, reason in plugins.failures.items():
        print(f"lstmlab: plugin left out: {where}: {reason}", file=sys.stderr)


def run(rest: Sequence[str]) -> int:
    """Hand over to Hydra, after all jobs of the command line have been checked."""
    from lstmlab.hydra_app import main as hydra_main

    _warn_of_plugins()
    return hydra_main(list(rest))


def study(rest: Sequence[str]) -> int:
    """Run what is missing of a study, or see to what is stored."""
    if rest and rest[0] in ACTIONS:
        return ACTIONS[rest[0]](rest[1:])
    made = _study(rest).run()
    groups = made.table().groupby(["task", "cell", "status", "metric"], sort=False, dropna=False)["value"]
    print(groups.agg(runs="size", mean="mean").reset_index().to_string(index=False))
    print(f"results: {made.folder / 'results.csv'}")
    if made.search is not None:
        print(f"trials:  {made.search.path}")
    return _failures(made)


def report(rest: Sequence[str]) -> int:
    """Run what is missing of a study and render its report."""
    from lstmlab.reports.notebook import find, render

    made = _study(rest)
    find(made.config.notebook)
    made.run()
    print(f"rendering {made.config.notebook} ...", file=sys.stderr)
    rendered = render(made)
    print(f"report:   {rendered.html}\nnotebook: {rendered.notebook}\nresults:  {made.folder / 'results.csv'}")
    return _failures(made)


def predict(rest: Sequence[str]) -> int:
    """Let the model of a finished run answer new data."""
    parser = argparse.ArgumentParser(prog="lstmlab predict", description=COMMANDS["predict"][1])
    parser.add_argument("run", metavar="RUN_ID", help="id or folder of a finished run, or the beginning of either")
    parser.add_argument(
        "--input", required=True, metavar="FILE", help="new data, of the kind that the run was trained on"
    )
    parser.add_argument("--output", metavar="CSV", help="where the answers go (default: the terminal)")
    parser.add_argument("overrides", nargs="*", metavar="outputs=DIR", help="where the runs are kept")
    given = parser.parse_intermixed_args(rest)
    outputs = [o.partition("=")[2] for o in given.overrides if o.startswith("outputs=")]
    if len(outputs) != len(given.overrides) or len(outputs) > 1:
        parser.error(f"only outputs=DIR is known besides the options, not {' '.join(given.overrides)}")
    _warn_of_plugins()
    from lstmlab.studies.run import load_run

    if given.output is not None and not Path(given.output).absolute().parent.is_dir():
        raise LstmlabError(f"{given.output} cannot be written: there is no folder {Path(given.output).parent}")
    with _warnings_as_notes():
        answers = load_run(given.run, *outputs).predict(given.input)
    if given.output is None:
        print(answers.to_csv(index=False), end="")
        return 0
    try:
        answers.to_csv(given.output, index=False)
    except OSError as error:
        raise LstmlabError(f"{given.output} cannot be written: {error.strerror or error}") from None
    print(f"{len(answers)} rows: {given.output}")
    return 0


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print what a task warns of as a note, without the line of code that did."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category is UserWarning:
                print(f"note: {message}", file=sys.stderr)
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


def data(rest: Sequence[str]) -> int:
    """Say what datasets there are and where, or fetch one."""
    parser = argparse.ArgumentParser(prog="lstmlab data", description=COMMANDS["data"][1])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="what datasets there are: size, licence, tasks, and where they are")
    getter = actions.add_parser("get", help="fetch a dataset, and say where its files are")
    getter.add_argument("name", metavar="NAME", help="a name that `lstmlab data list` shows")
    given = parser.parse_args(rest)
    _warn_of_plugins()
    from lstmlab import registry
    from lstmlab.data import listing

    if given.action == "get":
        print("\n".join(listing.get(given.name)))
        return 0
    for name in registry.dataset:
        print(name, *listing.describe(name).splitlines(), sep="\n  ")
    return 0


def bench(rest: Sequence[str]) -> int:
    """Time cells, or what a study costs; an interruption keeps what has been measured of the cells."""
    if rest and rest[0] == "studies":
        from lstmlab.bench.studies import bench as bench_studies

        return bench_studies(rest[1:])
    from lstmlab.bench.options import parse

    if not {"-h", "--help"} & {*rest}:
        _warn_of_plugins()
    options = parse(rest)
    from lstmlab.bench.run import bench as measure

    try:
        failures = measure(options).failures
    except KeyboardInterrupt:
        print(f"lstmlab: interrupted; what has been measured is in {options.out}", file=sys.stderr)
        return 130
    for what, reason in failures.items():
        print(f"lstmlab: left out: {what}: {reason}", file=sys.stderr)
    return 1 if failures else 0


def check(rest: Sequence[str]) -> int:
    """Run every check of a task or a cell, and say what to do for each that fails."""
    parser = argparse.ArgumentParser(prog="lstmlab check", description=COMMANDS["check"][1])
    parser.add_argument("name", metavar="NAME", help="a task or a cell, as `lstmlab list` shows it")
    parser.add_argument("--cell", default="vanilla", help="what a task is trained with (default: vanilla)")
    given = parser.parse_args(rest)
    _warn_of_plugins()
    from lstmlab.testing import report

    failed = False
    for outcome in report(given.name, given.cell):
        failed |= outcome.broken is not None
        print(outcome, flush=True)
    return int(failed)


def _study(rest: Sequence[str]) -> Study:
    from lstmlab.studies.study import Study

    _warn_of_plugins()
    flags = [r for r in rest if r.startswith("-")]
    if flags:
        raise LstmlabError(f"{flags[0]!r} is not known here: studies take overrides only, as in study=variants")
    chosen = [r.partition("=")[2] for r in rest if r.startswith("study=")]
    return Study(chosen[-1] if chosen else "variants", [r for r in rest if not r.startswith("study=")])


def _failures(study: Study) -> int:
    for name, reason in study.failures.items():
        print(f"lstmlab: run {name} failed: {reason}", file=sys.stderr)
    return 1 if study.failures else 0


COMMANDS = {
    "list": (list_, "List the cells, tasks and datasets that configs may name.", ""),
    "run": (run, "Train one run, or several with -m.", ""),
    "study": (study, "Run what is missing of a study, without rendering it.", STUDY + STORED),
    "report": (report, "Run what is missing of a study and render its report.", STUDY),
    "status": (status, "How the runs of each study stand: running and how far, done, failed and why.", ""),
    "predict": (predict, "Let the model of a finished run answer new data.", ""),
    "data": (data, "List the datasets and where they are, or fetch one. Files are found by their hash.", ""),
    "check": (check, "Check a task or a cell against its contract. Each check that fails says what to do.", ""),
    "bench": (bench, "Time every cell against torch's own layers; `bench studies` measures what a study costs.", ""),
}

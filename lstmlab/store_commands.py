"""Commands on what is stored: status, export, import, prune. They import nothing heavy."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lstmlab import paths
from lstmlab.errors import LstmlabError, nearest


def status(rest: Sequence[str]) -> int:
    """Say how the runs of each study stand: done, running, failed, queued, or begun by somebody who is gone."""
    parser = argparse.ArgumentParser(prog="lstmlab status", description="How the runs of each study stand.")
    parser.add_argument("study", nargs="*", metavar="STUDY", help="names of studies (default: all that were begun)")
    parser.add_argument("-v", "--verbose", action="store_true", help="list finished and queued runs too")
    outputs, given = _parse(parser, rest)
    from lstmlab.studies import status

    begun = status.studies(outputs)
    if not begun:
        print(f"no study was begun in {outputs}; outputs=DIR says where else to look")
        return 0
    for name in _chosen(given.study, begun):
        standings = list(status.standings(outputs, begun[name]))
        counts = Counter(s.state for s in standings)
        print(f"{name}: " + ", ".join(f"{counts[state]} {state}" for state in status.STATES if counts[state]))
        for s in standings:
            if given.verbose or s.state in ("running", "stale", "failed"):
                print(f"  {s.state:<8}{s.name}  {s.detail}")
    return 0


def _parse(parser: argparse.ArgumentParser, rest: Sequence[str]) -> tuple[Path, argparse.Namespace]:
    """Return the folder that ``outputs=DIR`` names, or where runs are written to, and what else was given."""
    parser.epilog = "outputs=DIR says where the runs are (default: where they are written to)."
    named = [r.partition("=")[2] for r in rest if r.startswith("outputs=")]
    given = parser.parse_args([r for r in rest if not r.startswith("outputs=")])
    return paths.outputs(named[-1] if named else None), given


def _chosen(names: Sequence[str], begun: dict[str, list[str]]) -> Sequence[str]:
    """Return the studies that are asked for, all without names."""
    for name in names:
        if name not in begun:
            raise LstmlabError(f"no study {name!r} was begun here.{nearest(name, begun)} Begun: {', '.join(begun)}.")
    return names or list(begun)


def export(rest: Sequence[str]) -> int:
    """Write the finished runs of studies to one file."""
    parser = argparse.ArgumentParser(prog="lstmlab study export", description="Write finished runs to one file.")
    parser.add_argument("archive", metavar="FILE.tar", help="the file that is written")
    parser.add_argument("study", nargs="*", metavar="STUDY", help="names of studies (default: all that were begun)")
    outputs, given = _parse(parser, rest)
    from lstmlab.studies import archive, status

    begun = status.studies(outputs)
    names = dict.fromkeys(run for name in _chosen(given.study, begun) for run in begun[name])
    done = archive.export_runs(outputs / "runs", names, Path(given.archive))
    print(f"{len(done)} finished runs of {len(names)}: {given.archive}")
    return 0


def import_(rest: Sequence[str]) -> int:
    """Take runs from a file into a store."""
    parser = argparse.ArgumentParser(
        prog="lstmlab study import", description="Take runs from a file; what is finished here is never overwritten."
    )
    parser.add_argument("archive", metavar="FILE.tar", help="a file that `lstmlab study export` wrote")
    outputs, given = _parse(parser, rest)
    from lstmlab.studies.archive import import_runs

    took = import_runs(Path(given.archive), outputs / "runs")
    print(f"{len(took.new)} runs are new, {len(took.known)} were here with the same result")
    for name in took.different:
        print(f"lstmlab: {name} has another result here, which is kept", file=sys.stderr)
    return 1 if took.different else 0


def prune(rest: Sequence[str]) -> int:
    """List the runs that no study consists of any more, and delete them when told to."""
    parser = argparse.ArgumentParser(
        prog="lstmlab study prune",
        description="List runs that no study here consists of: of older code, other settings, or single runs.",
    )
    parser.add_argument("--delete", action="store_true", help="delete what is listed")
    outputs, given = _parse(parser, rest)
    from lstmlab.studies import archive, claims, status

    planned = [run for runs in status.studies(outputs).values() for run in runs]
    found = [f for f in archive.unplanned(outputs, planned) if claims.Observer().alive(f) is None]
    size = sum(file.stat().st_size for folder in found for file in folder.glob("*"))
    for folder in found:
        print(folder.name)
        if given.delete:
            shutil.rmtree(folder)
    said = "deleted" if given.delete else "would be deleted by --delete"
    print(f"{len(found)} runs, {size / 1e6:.1f} MB, {said}")
    return 0


ACTIONS = {"export": export, "import": import_, "prune": prune}  # of `lstmlab study`

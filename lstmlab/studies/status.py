"""How the runs of a store stand, from its files alone: nothing heavy is imported, nothing is computed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmlab.studies import claims

STATES = ("running", "stale", "queued", "failed", "done")
PLAN = "study.json"  # in a study's folder: the runs that it consists of


@dataclass(frozen=True)
class Standing:
    """Where one run stands.

    Attributes:
        state: "done"; "failed"; "running"; "stale" (begun by a process that is dead or silent); "queued".
        detail: value, reason, or progress.
    """

    name: str
    state: str
    detail: str = ""


def studies(outputs: Path) -> dict[str, list[str]]:
    """Return the names of the runs of each study that was begun in ``outputs``."""
    found = {}
    for path in sorted(outputs.glob(f"*/{PLAN}")):
        with contextlib.suppress(OSError, ValueError):
            found[path.parent.name] = list(json.loads(path.read_text(encoding="utf-8"))["runs"])
    return found


def standings(outputs: Path, names: list[str]) -> Iterator[Standing]:
    """Yield where each of the runs stands."""
    now = _server_time(outputs)
    for name in names:
        yield _standing(outputs / "runs" / name, now)


def _standing(folder: Path, now: float) -> Standing:
    result, path = result_of(folder), claims.path_of(folder)
    if result is not None:
        if result.get("status") == "done":
            unit = f" {result.get('unit', '')}".rstrip()
            return Standing(folder.name, "done", f"{result.get('metric')} {result.get('value'):.4g}{unit}")
        if path is None:
            return Standing(folder.name, "failed", str(result.get("reason", "result.json is damaged")))
    holder = claims.read(path) if path else None
    if path is None or holder is None:
        checkpoint = (folder / "checkpoint.safetensors").exists()
        return Standing(folder.name, "queued", "goes on from a checkpoint" if checkpoint else "")
    done = f"{holder.step / holder.steps:.0%}" if holder.steps else "beginning"
    loss = "" if holder.loss is None else f", loss {holder.loss:.3g}"
    where = f"{done}{loss} ({holder.name})"
    if claims.is_here(holder):
        return Standing(folder.name, "running" if claims.lives(holder) else "stale", where)
    silent = now - _changed(path, now)
    return Standing(folder.name, "running" if silent < claims.STALE else "stale", where)


def result_of(folder: Path) -> dict[str, Any] | None:
    """Return what a run ended with: None without a result, and nothing in it where it is damaged."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return result if isinstance(result, dict) else {}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return {}


def _changed(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return otherwise


def _server_time(outputs: Path) -> float:
    """Return the time by the clock that stamps files there, which need not be this machine's."""
    try:
        handle, name = tempfile.mkstemp(prefix=".clock.", dir=outputs)
        os.close(handle)
        stamp = os.stat(name).st_mtime
        os.unlink(name)
        return stamp
    except OSError:  # a folder that is only read
        return time.time()

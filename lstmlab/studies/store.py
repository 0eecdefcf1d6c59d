"""The run store: a folder per run, each file written by atomic rename.

``runs/<task>-<cell>-s<seed>-<id>/`` holds ``config.yaml``, ``metrics.jsonl``, ``weights.safetensors``,
``fitted.json`` (scales, vocabularies) and, written last, ``result.json``: a run with a result is over.
Whatever dies before that leaves a run that goes on from its checkpoint, or is done again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from safetensors.torch import save
from torch import Tensor

from lstmlab.studies.files import StorageError, write
from lstmlab.studies.identity import Spec

Result = dict[str, Any]
FORMAT = 1
REQUIRED = ("format", "id", "status", "task", "cell", "seed")


class Store:
    """Runs under ``<outputs>/runs``."""

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self.runs = outputs / "runs"

    def prepare(self) -> None:
        """Make the folder and prove that it can be written, before any work starts."""
        write(self.runs / ".writable", b"")
        (self.runs / ".writable").unlink()

    def folder(self, spec: Spec) -> Path:
        """Return where a run is kept."""
        return self.runs / spec.name

    def result(self, spec: Spec) -> Result | None:
        """Return what a run ended with, or None if it has not ended.

        Raises:
            StorageError: when ``result.json`` is damaged.
        """
        return read_result(self.folder(spec), spec.id)

    def begin(self, spec: Spec) -> None:
        """Record the config; a former failure, and what a killed worker left half-written, is removed."""
        folder = self.folder(spec)
        for stale in (folder / "result.json", *folder.glob(".*")):
            stale.unlink(missing_ok=True)
        text = OmegaConf.to_yaml(OmegaConf.create(asdict(spec.config)))
        write(folder / "config.yaml", text.encode())

    def finish(
        self,
        spec: Spec,
        result: Result,
        weights: dict[str, Tensor] | None = None,
        fitted: dict[str, Any] | None = None,
    ) -> Result:
        """Record the end of a run: weights and what was fitted first, the result last."""
        if weights is not None:
            write(self.folder(spec) / "weights.safetensors", save(weights))
            write(self.folder(spec) / "fitted.json", json.dumps(fitted or {}).encode())
        config = spec.config
        facts = {
            "format": FORMAT,
            "id": spec.id,
            "task": config.task.label,
            "cell": config.cell.name,
            "seed": config.seed,
            "hidden_size": config.cell.hidden_size,
        }
        complete = facts | result
        write(self.folder(spec) / "result.json", (json.dumps(complete, indent=1) + "\n").encode())
        return complete

    def fail(self, spec: Spec, reason: str, details: str = "") -> Result:
        """Record that a run failed, and why."""
        return self.finish(spec, {"status": "failed", "reason": reason, "traceback": details})


def parse(text: str | bytes) -> dict[str, Any]:
    """Return an object of JSON that keeps once what many of its kind share: a driver holds thousands of results."""
    return json.loads(text, object_pairs_hook=_interned)


def _interned(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {sys.intern(key): sys.intern(value) if type(value) is str else value for key, value in pairs}


def read_result(folder: Path, id: str | None = None) -> Result | None:
    """Return the result in a run's folder, None without one.

    Raises:
        StorageError: when it is damaged, with what to do.
    """
    path = folder / "result.json"
    try:
        result = parse(path.read_text(encoding="utf-8"))
        missing = [k for k in REQUIRED if k not in result]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        if id is not None and result["id"] != id:
            raise ValueError(f"it belongs to run {result['id']}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged: {error}. Delete the folder {folder} to train this run again, or put "
            "the file back; all other runs are kept."
        ) from None
    if result["format"] > FORMAT:
        raise StorageError(f"{path} was written by a newer lstmlab (format {result['format']}): update lstmlab.")
    return result

"""A training on disk, so that one that was interrupted goes on: ``checkpoint.safetensors`` beside ``metrics.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lstmlab.studies.files import StorageError, failure, write
from lstmlab.training.loop import Row
from lstmlab.training.snapshot import Snapshot

NAME = "checkpoint.safetensors"


class History:
    """The rows of ``metrics.jsonl``: begun with those of a checkpoint, then appended to."""

    def __init__(self, folder: Path, rows: Sequence[Row]) -> None:
        self.path, self.written = folder / "metrics.jsonl", len(rows)
        write(self.path, _lines(rows))

    def append(self, rows: Sequence[Row]) -> None:
        """Write what ``rows``, the whole history, has beyond what is written.

        Raises:
            StorageError: when the disk is full or the file cannot be written.
        """
        new = _lines(rows[self.written :])
        try:
            with self.path.open("ab") as file:
                file.write(new)
        except OSError as error:
            raise failure(self.path, error) from error
        self.written = len(rows)


def save_checkpoint(folder: Path, taken: Snapshot) -> None:
    """Write a snapshot; the history up to it must be written before."""
    write(folder / NAME, save(taken.tensors, {"facts": json.dumps(taken.facts)}))


def load_checkpoint(folder: Path) -> tuple[Snapshot, list[Row]] | None:
    """Return a snapshot and the history up to it; None where there is none.

    Raises:
        StorageError: when either is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            taken = Snapshot({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
        with (folder / "metrics.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for _, line in zip(range(facts["rows"]), lines, strict=False)]
        if len(rows) < facts["rows"]:
            raise ValueError(f"metrics.jsonl has {len(rows)} of its {facts['rows']} rows")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged: {error}") from None
    return taken, rows


def drop_checkpoint(folder: Path) -> None:
    """Remove a checkpoint that is no longer needed."""
    (folder / NAME).unlink(missing_ok=True)


def _lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()

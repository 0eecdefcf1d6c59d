"""A worker process: one JSON request per line on stdin, JSON events on stdout.

It pays for its imports once and ends when its stdin closes, so it never outlives its driver by
more than the run in hand, which it still records. What a run prints goes to ``log.txt`` in the
run's folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from lstmlab.config import check_run
from lstmlab.studies.execute import execute_run
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Store

PROGRESS_EVERY = 0.5  # seconds


def main() -> None:
    """Serve requests until stdin closes."""
    with os.fdopen(os.dup(1), "w") as events:
        os.dup2(2, 1)  # whatever prints, a plugin while it is imported too, must not reach the driver
        for line in sys.stdin:
            _serve(json.loads(line), events)


def _serve(request: dict[str, Any], events: TextIO) -> None:
    spec = Spec(check_run(request["config"]), request["id"])
    store = Store(Path(request["outputs"]))
    sent = 0.0

    def progress(step: int) -> None:
        nonlocal sent
        if time.monotonic() - sent > PROGRESS_EVERY:
            sent = time.monotonic()
            _send(events, {"step": step})

    log: Path | None = None
    try:
        log = store.open_log(spec)
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        event: dict[str, Any] = {"result": execute_run(spec, store, progress, request["checkpoint_minutes"])}
    except (StorageError, OSError) as error:
        event = {"storage": str(error)}
    sys.stdout.flush()
    sys.stderr.flush()
    if log is not None and log.stat().st_size == 0:
        log.unlink()
    _send(events, event)


def _send(events: TextIO, event: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the driver is gone; the result is in the store
        print(json.dumps(event), file=events, flush=True)


if __name__ == "__main__":
    main()

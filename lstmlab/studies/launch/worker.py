"""A worker process: one JSON request per line on stdin, JSON events on stdout.

It pays for its imports once and ends when its stdin closes, so it never outlives its driver by
more than the run in hand, which it still records. What a run prints goes to ``log.txt`` in the
run's folder. SIGTERM makes the run in hand write a checkpoint, and ends the process.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from lstmlab.config import check_run
from lstmlab.errors import LstmlabError
from lstmlab.studies.execute import Elsewhere, Interrupted, execute_run
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.search.pace import Left
from lstmlab.studies.store import Store
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import settle

TELL_EVERY = 0.5  # seconds between two events of a run


class _Worker:
    def __init__(self, events: TextIO) -> None:
        self.events = events
        self.working = self.stopping = False
        self.told = 0.0

    def stop(self, *signal: object) -> None:
        """End now, or after a checkpoint where a run is at work."""
        self.stopping = True
        if not self.working:
            settle()
            os._exit(0)

    def serve(self, request: dict[str, Any]) -> None:
        """Do a run, and tell how it goes."""
        if request.get("verify") and (trouble := _differs(request)):
            self.tell({"refused": trouble})
            return
        spec = Spec(check_run(request["config"]), request["id"])
        store = Store(Path(request["outputs"]))
        log = store.folder(spec) / "log.txt"

        def begun() -> None:
            log.write_bytes(b"")
            with log.open("ab") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            self.tell({"step": 0})  # the data of some tasks take longer than their training

        def say(text: str) -> None:  # perhaps when the next run is at work already
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

        try:
            result = execute_run(spec, store, Terms.read(request["terms"]), self.progress, begun, say)
            event: dict[str, Any] = {"result": result}
        except Left as left:
            event = {"left": left.step}
        except Elsewhere as other:
            event = {"elsewhere": str(other)}
        except (StorageError, OSError) as error:
            event = {"storage": str(error)}
        sys.stdout.flush()
        sys.stderr.flush()
        if log.exists() and log.stat().st_size == 0:
            log.unlink()
        self.tell(event)

    def progress(self, step: int, loss: float) -> None:
        """Tell now and then how far a run is; leave it when the process has to end."""
        if self.stopping:
            raise Interrupted
        if time.monotonic() - self.told > TELL_EVERY:
            self.told = time.monotonic()
            self.tell({"step": step, "loss": None if math.isnan(loss) else loss})

    def tell(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the driver is gone; the result is in the store
            print(json.dumps(event), file=self.events, flush=True)


def _differs(request: dict[str, Any]) -> str:
    """Return why this installation would do another run than the one that was asked for; nothing if it would not."""
    try:
        own = specify(check_run(request["config"])).id
    except LstmlabError as error:  # a plugin is missing, a file is not there
        return str(error)
    if own == request["id"]:
        return ""
    return f"it would do run {own} instead of {request['id']}: its lstmlab, plugins, torch or data differ"


def main() -> None:
    """Serve requests until stdin closes."""
    with os.fdopen(os.dup(1), "w") as events:
        os.dup2(2, 1)  # whatever prints, a plugin while it is imported too, must not reach the driver
        worker = _Worker(events)
        signal.signal(signal.SIGTERM, worker.stop)
        for line in sys.stdin:
            worker.working = True
            with contextlib.suppress(Interrupted):
                worker.serve(json.loads(line))
            worker.working = False
            if worker.stopping:
                return


if __name__ == "__main__":
    main()

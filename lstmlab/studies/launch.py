"""A pool of worker processes. The driver only watches; workers record their own results."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass

from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Result, Store


@dataclass(frozen=True)
class Event:
    """News of a run: a step, a result, or a store that cannot be written."""

    spec: Spec
    step: int = 0
    result: Result | None = None
    storage: str = ""


def launch(specs: Sequence[Spec], store: Store, workers: int, checkpoint_minutes: float = 1.0) -> Generator[Event]:
    """Run ``specs`` on ``workers`` processes and yield what happens, until all have ended.

    A worker that dies costs the run that it was at, which is recorded as failed, and is replaced.

    Raises:
        StorageError: when a worker cannot write; the others are stopped.
    """
    todo: queue.SimpleQueue[Spec] = queue.SimpleQueue()
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    for spec in specs:
        todo.put(spec)
    pool = [_Worker(todo, events, store, checkpoint_minutes) for _ in range(min(workers, len(specs)))]
    left = len(specs)
    try:
        for worker in pool:
            worker.start()
        while left:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            if event.storage:
                raise StorageError(event.storage)
            left -= event.result is not None
            yield event
    finally:
        for worker in pool:
            worker.stop()


class _Worker(threading.Thread):
    """Feeds one process from the queue and turns what it says into events."""

    def __init__(
        self,
        todo: queue.SimpleQueue[Spec],
        events: queue.SimpleQueue[Event | BaseException],
        store: Store,
        checkpoint_minutes: float,
    ) -> None:
        super().__init__(daemon=True)
        self.todo, self.events, self.store = todo, events, store
        self.checkpoint_minutes = checkpoint_minutes
        self.process: subprocess.Popen[str] | None = None
        self.stopped = threading.Event()
        self.starting = threading.Lock()

    def run(self) -> None:
        """Work until the queue is empty."""
        try:
            while not self.stopped.is_set():
                self._work(self.todo.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:  # the driver's loop raises it
            self.events.put(error)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the process, one that is just being started too; a run in hand is lost, and done again next time."""
        self.stopped.set()
        with self.starting:
            process = self.process
        if process is not None:
            process.terminate()
            process.wait()

    def _work(self, spec: Spec) -> None:
        with self.starting:
            if self.stopped.is_set():
                return
            process = self.process = self.process or self._spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {
            "config": asdict(spec.config),
            "id": spec.id,
            "outputs": str(self.store.outputs),
            "checkpoint_minutes": self.checkpoint_minutes,
        }
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = Event(spec, **json.loads(line))
                self.events.put(event)
                if event.result is not None or event.storage:
                    return
        except BrokenPipeError:
            pass
        if not self.stopped.is_set():
            self.process = None
            result = self.store.fail(spec, f"its worker process died: {_cause(process.wait())}")
            self.events.put(Event(spec, result=result))

    def _spawn(self) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C reaches the driver only, which then decides.
        return subprocess.Popen(
            [sys.executable, "-m", "lstmlab.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def _cause(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"{name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"exit code {code}; see log.txt in the run's folder"

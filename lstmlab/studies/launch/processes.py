"""A pool of warm worker processes on this machine. The driver only watches; workers record their own results."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence

from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.launch.process import Process, stop_all
from lstmlab.studies.store import Store

Heard = queue.SimpleQueue[Event | BaseException | None]


def processes(jobs: Sequence[Job], store: Store, options: Options) -> Generator[Event]:
    """Do the runs on ``options.workers`` processes, each beginning the next one when it is free.

    A worker that dies costs the run that it was at, which is recorded as failed, and is replaced.
    """
    todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
    heard: Heard = queue.SimpleQueue()
    for job in jobs:
        todo.put(job)
    pool = [_Feeder(todo, heard, Process(store, options), options) for _ in range(min(options.workers, len(jobs)))]
    working = len(pool)
    try:
        for feeder in pool:
            feeder.start()
        while working:
            event = heard.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                working -= 1
            else:
                yield event
    finally:
        stop_all(feeder.process for feeder in pool)


class _Feeder(threading.Thread):
    """Feeds one process from the queue until that is empty."""

    def __init__(self, todo: queue.SimpleQueue[Job], heard: Heard, process: Process, options: Options) -> None:
        super().__init__(daemon=True)
        self.todo, self.heard, self.process, self.options = todo, heard, process, options

    def run(self) -> None:
        try:
            while not self.options.stopping.is_set():
                self.process.run(self.todo.get_nowait(), self.heard.put)
        except queue.Empty:
            pass
        except BaseException as error:  # the driver's loop raises it
            self.heard.put(error)
        self.heard.put(None)

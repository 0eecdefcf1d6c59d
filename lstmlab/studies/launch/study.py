"""From the runs of a study to their events: the launcher that is configured, and patience with other drivers."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing

from lstmlab.studies import claims
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.dask import dask
from lstmlab.studies.launch.events import Event, Job, Launcher, Options
from lstmlab.studies.launch.processes import processes
from lstmlab.studies.launch.serial import serial
from lstmlab.studies.launch.slurm import slurm
from lstmlab.studies.store import Store

LAUNCHERS: dict[str, Launcher] = {"processes": processes, "serial": serial, "slurm": slurm, "dask": dask}
LOOK_EVERY = 1.0  # seconds between two looks at runs that other drivers work on


def launch(specs: Sequence[Spec], store: Store, options: Options) -> Generator[Event]:
    """Do ``specs`` and yield what happens, until each has a result.

    Runs that another driver works on are left to it: their results are waited for, and those whose driver
    died are done here.

    Raises:
        StorageError: when the store cannot be written; what runs is stopped.
    """
    todo, observer = [Job(spec) for spec in specs], claims.Observer()
    others: list[Spec] = []
    while todo or others:
        if todo:
            # Closing ends the workers, whatever interrupts us.
            with closing(LAUNCHERS[options.config.name](todo, store, options)) as events:
                for event in events:
                    if event.storage:
                        raise StorageError(event.storage)
                    if event.elsewhere:
                        others.append(event.spec)
                    yield event
        if options.stopping.is_set():
            return
        todo = []
        for spec in list(others):
            result = store.result(spec)
            free = observer.alive(store.folder(spec)) is None
            if free or (result and result["status"] == "done"):
                others.remove(spec)
            if result and (result["status"] == "done" or free):
                yield Event(spec, result=result)
            elif free:
                todo.append(Job(spec, observer.silent(store.folder(spec))))
        if others and not todo:
            time.sleep(LOOK_EVERY)

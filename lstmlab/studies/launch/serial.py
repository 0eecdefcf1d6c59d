"""One run after the other in this process: nothing to start, and a debugger sees everything."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from lstmlab.errors import LstmlabError
from lstmlab.studies.execute import Elsewhere, execute_run
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.search.pace import Left
from lstmlab.studies.store import Store


def serial(jobs: Sequence[Job], store: Store, options: Options) -> Generator[Event]:
    """Do the runs in order. What kills a run kills the study; all that is finished is kept."""
    if options.config.memory_limit or options.config.time_limit:
        raise LstmlabError(
            "launch=serial does runs in this process, where none can be stopped without the others: "
            "leave launch.memory_limit and launch.time_limit null, or take launch=processes"
        )
    for job in jobs:
        if options.stopping.is_set():
            return
        yield Event(job.spec)
        try:
            yield Event(job.spec, result=execute_run(job.spec, store, job.terms(options)))
        except Left as left:
            yield Event(job.spec, left=left.step)
        except Elsewhere as other:
            yield Event(job.spec, elsewhere=str(other))

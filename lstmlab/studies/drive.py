"""From the missing runs of a study to their results, with somebody watching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from lstmlab.config import Settings
from lstmlab.machine import cores
from lstmlab.studies.display import Board, Display, view
from lstmlab.studies.identity import Spec
from lstmlab.studies.interrupts import first_interrupt
from lstmlab.studies.launch import Options, launch
from lstmlab.studies.search.pace import Pace
from lstmlab.studies.store import Result, Store
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import Trackers

Results = dict[Spec, Result | None]


def drive(
    missing: Sequence[Spec],
    store: Store,
    settings: Settings,
    title: str,
    results: Results,
    paces: Mapping[Spec, Pace] | None = None,
    recorded: Callable[[], object] = lambda: None,
) -> None:
    """Do the missing runs and show how they go.

    Args:
        missing: runs to be done.
        store: where they are recorded.
        settings: how they are launched.
        title: what the display is headed with.
        results: of all runs that belong together; those of ``missing`` are entered as they end.
        paces: of the runs that are left when they are behind.
        recorded: called whenever a result was entered.

    Raises:
        KeyboardInterrupt: when the user asked to stop; what was running then has ended.
        StorageError: when the store cannot be written.
    """
    workers = settings.workers or fitting(missing)
    trackers = Trackers(tuple(settings.trackers), settings.study.name)
    terms = Terms(settings.checkpoint_minutes, trackers=trackers)
    options = Options(settings.launch, workers, terms, paces or {}, settings.workers)
    board = Board(title, results, missing, workers)
    events = launch(missing, store, options)
    # Closing the events ends the workers; until then the display goes on.
    with Display(board, view(live=settings.launch.name != "serial")) as shown, closing(events):

        def end() -> None:
            options.stopping.set()
            shown.say("interrupted: the runs at work are finished first; Ctrl-C again stops them now")

        with first_interrupt(end):
            for event in events:
                if event.result is not None:
                    results[event.spec] = event.result
                    recorded()
                shown.hear(event)
    if options.stopping.is_set():
        raise KeyboardInterrupt


def fitting(specs: Sequence[Spec]) -> int:
    """Return how many of the runs this machine's cores can do at the same time, at least one."""
    return max(1, cores() // max(spec.config.train.cores for spec in specs))

"""From the missing runs of a study to their results, with somebody watching."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from tqdm import tqdm

from lstmlab.config import Settings
from lstmlab.machine import cores
from lstmlab.progress import bar
from lstmlab.studies.identity import Spec
from lstmlab.studies.interrupts import first_interrupt
from lstmlab.studies.launch import Event, Options, launch
from lstmlab.studies.search.pace import Pace
from lstmlab.studies.store import Result, Store

Results = dict[Spec, Result | None]


def drive(
    missing: Sequence[Spec],
    store: Store,
    settings: Settings,
    title: str,
    results: Results,
    paces: Mapping[Spec, Pace] | None = None,
) -> None:
    """Do the missing runs and show how they go.

    Args:
        missing: runs to be done.
        store: where they are recorded.
        settings: how they are launched.
        title: what the display is headed with.
        results: of all runs that belong together; those of ``missing`` are entered as they end.
        paces: of the runs that are left when they are behind.

    Raises:
        KeyboardInterrupt: when the user asked to stop; what was running then has ended.
        StorageError: when the store cannot be written.
    """
    threads = max(spec.config.train.threads for spec in missing)
    workers = settings.workers or max(1, cores() // threads)
    options = Options(settings.launch, workers, settings.checkpoint_minutes, paces=paces or {})
    events = launch(missing, store, options)
    with bar(len(results), title) as shown, closing(events):  # closing ends the workers

        def end() -> None:
            options.stopping.set()
            shown.write(
                "interrupted: the runs at work are finished first; Ctrl-C again stops them now", file=sys.stderr
            )

        with first_interrupt(end):
            shown.update(len(results) - len(missing))
            _show(events, shown, results)
    if options.stopping.is_set():
        raise KeyboardInterrupt


def _show(events: Iterator[Event], shown: tqdm[Any], results: Results) -> None:
    """Take results in, and keep the bar up to date."""
    running: dict[Spec, str] = {}
    for event in events:
        config = event.spec.config
        name = f"{config.task.label}/{config.cell.name}/{config.seed}"
        if event.final:
            running.pop(event.spec, None)
        else:
            loss = "" if event.loss is None else f", loss {event.loss:.3g}"
            running[event.spec] = f"{name} {event.step / config.train.steps:.0%}{loss}"
        if event.elsewhere:
            shown.write(f"left to {event.elsewhere}: {name}")
        if event.result is not None:
            results[event.spec] = event.result
            if event.result["status"] == "failed":
                shown.write(f"failed: {name}: {event.result['reason']}")
        shown.set_postfix_str("; ".join(running.values()), refresh=event.result is None)
        shown.update(event.result is not None or event.left > 0)

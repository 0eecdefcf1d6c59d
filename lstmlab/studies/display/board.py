"""What is known of a study while it runs: the model that every view of it shows."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lstmlab.studies.display.estimate import Durations, Kind, Left, Running, time_left
from lstmlab.studies.display.text import printable
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch import Event
from lstmlab.studies.store import Result

ESTIMATE_EVERY = 1.0  # seconds between two estimates of the time left


@dataclass(frozen=True)
class Row:
    """A run at work, as views show it."""

    name: str
    share: float
    loss: float | None


@dataclass(frozen=True)
class Picture:
    """A study at one moment.

    Attributes:
        done: runs that ended well, those of earlier sessions too.
        elsewhere: runs that other drivers work on.
        running: runs at work, in the order in which they began.
        seconds: since the display began.
        left: how long it will still take; None while nothing is known.
        width: characters of the longest name of a run.
    """

    title: str
    total: int
    done: int
    failed: int
    elsewhere: int
    running: tuple[Row, ...]
    seconds: float
    left: Left | None
    width: int

    @property
    def share(self) -> float:
        """Which part of the whole is done, runs at work counted as far as they are."""
        return (self.done + self.failed + sum(row.share for row in self.running)) / max(1, self.total)


class Board:
    """Hears of events and knows how the study stands. Its size does not depend on how much it has heard.

    Args:
        title: of the study.
        results: of all its runs, with None for those that have not ended.
        missing: the runs that will be done, in order.
        workers: runs at the same time.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        title: str,
        results: Mapping[Spec, Result | None],
        missing: Sequence[Spec],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.workers, self.clock = printable(title), workers, clock
        self.notes: deque[str] = deque()
        self._lock = threading.Lock()
        self._begun = clock()
        self._waiting: dict[str, Kind] = {spec.id: _kind(spec) for spec in missing}
        before = [r["status"] for s, r in results.items() if r is not None and s.id not in self._waiting]
        self._done, self._total = before.count("done"), len(before) + len(missing)
        self._failed = len(before) - self._done
        names = {_name(spec) for spec in missing}
        self._ambiguous = len(names) < len(missing)
        self._width = max(len(name) for name in names) + 7 * self._ambiguous if names else 0
        self._running: dict[str, Running] = {}
        self._elsewhere: dict[str, Running] = {}
        self._ended = Durations()
        self._left: tuple[float, Left | None] = (-ESTIMATE_EVERY, None)

    def hear(self, event: Event) -> None:
        """Take news of a run in."""
        with self._lock:
            self._hear(event, self.clock())

    def picture(self) -> Picture:
        """Return how the study stands now."""
        with self._lock:
            now = self.clock()
            return Picture(
                self.title,
                self._total,
                self._done,
                self._failed,
                len(self._elsewhere),
                tuple(Row(r.name, r.share, r.loss) for r in self._running.values()),
                now - self._begun,
                self._estimate(now),
                self._width,
            )

    def _hear(self, event: Event, now: float) -> None:
        id = event.spec.id
        former = self._running.get(id) or self._elsewhere.get(id)
        if former is None and id not in self._waiting:
            return  # it is over
        run = former or Running(self.name(event.spec), _kind(event.spec), event.spec.config.train.steps, now, heard=now)
        self._waiting.pop(id, None)
        if event.result is not None:
            self._running.pop(id, None)
            self._elsewhere.pop(id, None)
            self._end(run, event.result, None if former is None else now - run.begun)
        elif event.left:  # a trial that need not go on: nothing more comes of it
            self._running.pop(id, None)
            self._elsewhere.pop(id, None)
            self._done += 1
        elif event.elsewhere:
            self._running.pop(id, None)
            self._elsewhere[id] = run
            self.notes.append(f"left to {printable(event.elsewhere)}: {run.name}")
        elif not event.storage:
            self._elsewhere.pop(id, None)
            self._running[id] = run
            run.hear(event.step, event.loss, now)

    def _end(self, run: Running, result: Result, seconds: float | None) -> None:
        if result["status"] == "done":
            self._done += 1
            seconds = result.get("wall_seconds", seconds) if seconds is None else seconds
        else:
            self._failed += 1
            self.notes.append(f"failed: {run.name}: {printable(str(result['reason']))}")
        if seconds is not None:
            self._ended.add(run.kind, seconds)

    def _estimate(self, now: float) -> Left | None:
        if not (self._waiting or self._running or self._elsewhere):
            return Left(0.0)
        if now - self._left[0] >= ESTIMATE_EVERY:
            runs = self._running.values(), self._elsewhere.values(), self._waiting.values()
            self._left = now, time_left(*runs, self._ended, self.workers, now)
        return self._left[1]

    def name(self, spec: Spec) -> str:
        """Return what a run is called here: by its id too, where task, cell and seed do not tell it apart."""
        return printable(_name(spec)) + (f" {spec.id[:6]}" if self._ambiguous else "")


def _kind(spec: Spec) -> Kind:
    return spec.config.task.label, spec.config.cell.name


def _name(spec: Spec) -> str:
    return f"{spec.config.task.label}/{spec.config.cell.name}/{spec.config.seed}"

"""How long a study will still take, from the runs that have ended and the pace of those that run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Kind = tuple[str, str]  # task and cell: runs of one kind take about as long
ENOUGH = 0.02  # share of a run's steps after which its pace says something


@dataclass
class Running:
    """A run that was heard of and has not ended.

    Attributes:
        steps: as many as there will be, unless it stops early.
        begun: when it was first heard of, in seconds of a clock that never goes back.
        step: how many are done, as far as is known.
        loss: of that step.
        heard: when that was said.
        first: the first step that was heard of, and when: what comes before it is not training.
    """

    name: str
    kind: Kind
    steps: int
    begun: float
    step: int = 0
    loss: float | None = None
    heard: float = 0.0
    first: tuple[int, float] | None = None

    def hear(self, step: int, loss: float | None, now: float) -> None:
        """Note how far it is."""
        self.step, self.loss, self.heard = step, loss, now
        if step and self.first is None:
            self.first = step, now

    @property
    def share(self) -> float:
        """Which part of its steps is done."""
        return min(1.0, self.step / self.steps)

    def whole(self) -> float | None:
        """Return the seconds that all steps take at the pace so far; None while nothing can be said."""
        if self.first is None or self.step - self.first[0] < max(1.0, ENOUGH * self.steps):
            return None
        return (self.heard - self.first[1]) / (self.step - self.first[0]) * self.steps


@dataclass
class Durations:
    """Seconds that runs took, or take: the means of each kind, of each task, and of all."""

    sums: dict[tuple[str, ...], tuple[float, int]] = field(default_factory=dict)

    def add(self, kind: Kind, seconds: float) -> None:
        """Take in one run."""
        for level in _levels(kind):
            total, n = self.sums.get(level, (0.0, 0))
            self.sums[level] = total + seconds, n + 1

    def mean(self, level: tuple[str, ...]) -> float | None:
        """Return the mean of a kind, a task or all; None where there was no run."""
        total, n = self.sums.get(level, (0.0, 0))
        return total / n if n else None


@dataclass(frozen=True)
class Left:
    """Seconds that a study will still take.

    Attributes:
        guessed: no run of one of the remaining tasks is known yet, so runs of other tasks stand for them.
    """

    seconds: float
    guessed: bool = False


def time_left(
    running: Iterable[Running],
    elsewhere: Iterable[Running],
    waiting: Iterable[Kind],
    ended: Durations,
    workers: int,
    now: float,
) -> Left | None:
    """Return how long it will take until all runs have ended; None while nothing is known.

    Each waiting run is given to the worker that is free first, in order, as launchers do.

    Args:
        running: runs at work here.
        elsewhere: runs that another driver was found to work on.
        waiting: kinds of the runs that have not begun, in order.
        ended: durations of the runs that have ended.
        workers: runs at the same time.
        now: by the clock of the runs.
    """
    ours, others = list(running), list(elsewhere)
    paces = Durations()
    for run in ours:
        if (whole := run.whole()) is not None:
            paces.add(run.kind, whole)
    queue = list(waiting)
    kinds = {run.kind for run in ours + others}.union(queue)
    found = {kind: _duration(kind, ended, paces) for kind in kinds}
    known = {kind: duration for kind, duration in found.items() if duration is not None}
    if len(known) < len(kinds):
        return None

    def rest(run: Running) -> float:
        return max(0.0, known[run.kind].seconds * (1 - run.share) - (now - run.heard))

    free = [rest(run) for run in ours] + [0.0] * (workers - len(ours))
    heapq.heapify(free)
    for kind in queue:
        heapq.heapreplace(free, free[0] + known[kind].seconds)
    ends = free + [rest(run) for run in others]
    return Left(max(ends, default=0.0), any(duration.guessed for duration in known.values()))


def _duration(kind: Kind, ended: Durations, paces: Durations) -> Left | None:
    """Return what a run of this kind takes; guessed, where only runs of other tasks say so."""
    for level in _levels(kind):
        for sums in (ended, paces):
            if (mean := sums.mean(level)) is not None:
                return Left(mean, level == ())
    return None


def _levels(kind: Kind) -> Iterator[tuple[str, ...]]:
    return iter((kind, kind[:1], ()))

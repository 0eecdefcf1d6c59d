"""Handing runs over to trackers from threads of their own, so that training neither waits nor fails."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence

from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Result, Store
from lstmlab.studies.trackers.tracker import Row, Tracked, Tracker, Trackers, load

EVERY = 1.0  # seconds between two hand-overs
ROOM = 20_000  # rows that may wait for a tracker; what comes beyond is left out and counted
PATIENCE = 5.0  # seconds that a process waits at its end for what is still to be handed over


class Tracking:
    """The trackers of one run. None of its methods raises or waits for a tracker.

    Args:
        trackers: which.
        spec: what they watch.
        store: where the run is recorded.
        say: told once for each tracker that something went wrong with.
    """

    def __init__(self, trackers: Trackers, spec: Spec, store: Store, say: Callable[[str], object]) -> None:
        self._names, self._run, self._say = trackers.names, Tracked(spec, store, trackers.experiment), say
        self._posts: list[_Post] = []
        self._told = 0

    def begin(self, rows: Sequence[Row]) -> None:
        """Begin, with the history of a run that goes on from a checkpoint."""
        self._told = len(rows)
        for name in self._names:
            try:
                # Imported here and not in the thread: two threads that import at once may see half a module.
                post = _Post(_desk(name), load(name)(self._run), self._run, rows, self._say)
            except Exception as error:  # whatever a tracker does, the run goes on
                with contextlib.suppress(Exception):
                    self._say(f"{name}: nothing is logged, because of {_reason(error)} ({self._run.spec.name})")
            else:
                self._posts.append(post)

    def log(self, rows: Sequence[Row]) -> None:
        """Take in what ``rows``, the whole history, has beyond what was there before."""
        new, self._told = rows[self._told :], len(rows)
        for post in self._posts:
            post.put(new)

    def end(self, result: Result | None) -> None:
        """Take in what the run ended with; None: it was interrupted."""
        for post in self._posts:
            post.end(result)


class _Desk(threading.Thread):
    """Serves one tracker in this process: what its runs leave for it, one run after the other."""

    def __init__(self, tool: str) -> None:
        super().__init__(daemon=True)
        self.tool = tool
        self.posts: list[_Post] = []
        self.waiting = 0  # rows
        self.lock = threading.Lock()
        self.news = threading.Event()

    def run(self) -> None:
        while True:
            self.news.wait(EVERY if self.posts else None)
            self.news.clear()
            for post in list(self.posts):
                if post.hand_over():
                    self.posts.remove(post)


class _Post:
    """What one run leaves for one tracker."""

    def __init__(
        self, desk: _Desk, tracker: Tracker, run: Tracked, history: Sequence[Row], say: Callable[[str], object]
    ) -> None:
        self._desk, self._tracker, self._name, self._say = desk, tracker, run.spec.name, say
        self._history: list[Row] | None = list(history)
        self._rows: list[Row] = []
        self._left_out = 0
        self._result: Result | None = None
        self._over = self._broken = False
        desk.posts.append(self)
        desk.news.set()

    def put(self, rows: Sequence[Row]) -> None:
        with self._desk.lock:
            if not self._broken:
                taken = rows[: max(0, ROOM - self._desk.waiting)]
                self._rows += taken
                self._desk.waiting += len(taken)
                self._left_out += len(rows) - len(taken)

    def end(self, result: Result | None) -> None:
        self._result, self._over = result, True
        self._desk.news.set()

    def hand_over(self) -> bool:
        """Hand over what is there; return whether nothing more will come."""
        over = self._over  # what is put after this is looked at once more
        try:
            if self._history is not None:
                self._tracker.begin(self._history)
                self._history = None
            if rows := self._take():
                self._tracker.log(rows)
            if over:
                self._tracker.end(self._result)
        except Exception as error:  # whatever a tracker does, the run goes on
            self._broken = over = True
            self._take()
            self.say(f"nothing more is logged, because of {_reason(error)}")
        if over and self._left_out:
            self.say(f"{self._left_out:,} rows were left out, because it takes them too slowly")
        return over

    def say(self, what: str) -> None:
        with contextlib.suppress(Exception):  # a full disk, perhaps
            self._say(f"{self._desk.tool}: {what} ({self._name})")

    def _take(self) -> list[Row]:
        with self._desk.lock:
            rows, self._rows = self._rows, []
            self._desk.waiting -= len(rows)
        return rows


_desks: dict[str, _Desk] = {}


def _desk(tool: str) -> _Desk:
    if tool not in _desks:
        _desks[tool] = _Desk(tool)
        _desks[tool].start()
    return _desks[tool]


def settle() -> None:
    """Wait a little, at the end of a process, until all is handed over."""
    deadline = time.monotonic() + PATIENCE
    while any(desk.posts for desk in _desks.values()) and time.monotonic() < deadline:
        time.sleep(0.01)
    for desk in _desks.values():
        for post in list(desk.posts):
            post.say("the process ended before all was logged")


atexit.register(settle)


def to_stderr(text: str) -> None:
    """Say what went wrong where a user sees it."""
    print(text, file=sys.stderr)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"

"""What launchers are told, and what they tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from lstmlab.schema import LaunchConfig
from lstmlab.studies.identity import Spec
from lstmlab.studies.search.pace import Pace
from lstmlab.studies.store import Result, Store
from lstmlab.studies.terms import Terms


@dataclass(frozen=True)
class Event:
    """News of a run.

    Attributes:
        step: how many are done.
        loss: of that step, in the task's unit.
        result: what the run ended with.
        elsewhere: another process that works on the run, by host and number; so this one let it be.
        storage: why the store cannot be written: no run can go on.
        left: the step after which it was left, since it was behind its `Options.paces`; 0 when it was not.
        refused: why the machine that was asked must not do the run: it would do another one under its name.
    """

    spec: Spec
    step: int = 0
    loss: float | None = None
    result: Result | None = None
    elsewhere: str = ""
    storage: str = ""
    left: int = 0
    refused: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing more will be heard of the run from this launcher."""
        return self.result is not None or bool(self.elsewhere or self.storage or self.left or self.refused)


@dataclass(frozen=True)
class Job:
    """A run to be done, and the claim on it, by `claims.generation`, that was found silent and may be taken over."""

    spec: Spec
    stale: int = 0

    def terms(self, options: Options) -> Terms:
        """Return how this run is done."""
        return replace(options.terms, stale=self.stale, pace=options.paces.get(self.spec))

    def request(self, store: Store, options: Options) -> dict[str, Any]:
        """Return what `worker` has to be told, as JSON-safe values."""
        return {
            "config": asdict(self.spec.config),
            "id": self.spec.id,
            "outputs": str(store.outputs),
            "terms": asdict(self.terms(options)),
        }


@dataclass(frozen=True)
class Given(Job):
    """A job as another process asked for it, whose request is handed on as it is."""

    given: dict[str, Any] = field(default_factory=dict)

    def request(self, store: Store, options: Options) -> dict[str, Any]:
        return self.given


@dataclass
class Options:
    """How runs are done, whichever launcher does them.

    Attributes:
        workers: runs at the same time.
        terms: how each run is done.
        paces: of the runs that are left when they are behind.
        asked: the number that the user gave for them, if any.
        stopping: when set, no further run is begun; those that run go on to their end.
    """

    config: LaunchConfig
    workers: int = 1
    terms: Terms = Terms()
    paces: Mapping[Spec, Pace] = field(default_factory=dict)
    asked: int | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def limits(self) -> dict[str, Any]:
        """What another machine has to know of ``config`` to do a run, as the values of a `LaunchConfig`."""
        return {key.name: getattr(self.config, key.name) for key in fields(LaunchConfig)}


Launcher = Callable[[Sequence[Job], Store, Options], Generator[Event]]

"""Packs: runs that one job of a cluster does one after the other, as folders that it shares with drivers.

``<outputs>/.slurm/<batch>/<number>/`` holds ``pack.json``, what is to be done, written by the driver before it submits;
``state.json``, how far the job is, rewritten before each run; and the job's claim. The jobs of a batch were submitted
together; a file ``stop`` beside its packs asks them to begin no further run. What cluster and submitit write, logs
above all, lies there too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lstmlab.config import check_run
from lstmlab.schema import LaunchConfig
from lstmlab.studies.files import write
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.events import Given, Job, Options
from lstmlab.studies.store import Store

FOLDER = ".slurm"
STOP = "stop"


@dataclass
class State:
    """How far a job is.

    Attributes:
        host: where it runs, or ran last; nothing before it has begun.
        at: the number of the run at work; those before are over.
        elsewhere: runs that another process had, which is named.
        left: runs that were left because they were behind, and after which step.
        stopped: a signal ended the job; the run at work has written a checkpoint.
        over: the job will do nothing more, even if it is started again.
        trouble: what made it give up.
        storage: the trouble is that the store cannot be written.
    """

    host: str = ""
    at: int = 0
    elsewhere: dict[str, str] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    stopped: bool = False
    over: bool = False
    trouble: str = ""
    storage: bool = False


@dataclass(frozen=True)
class Pack:
    """One of them, by its folder."""

    folder: Path

    @property
    def batch(self) -> Path:
        """The folder of those that were submitted together."""
        return self.folder.parent

    @property
    def number(self) -> int:
        """Which of its batch this is, from 0."""
        return int(self.folder.name)

    @cached_property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "pack.json").read_text(encoding="utf-8"))
        return content

    @property
    def names(self) -> list[str]:
        """Names of the runs, in order."""
        return list(self._content["names"])

    def work(self) -> tuple[Sequence[Job], Store, Options]:
        """Return the runs, where they are recorded, and how they are done.

        Raises:
            ConfigError: when this installation lacks what a run needs, a plugin for example.
        """
        requests, launch = self._content["requests"], self._content["launch"]
        jobs = [Given(Spec(check_run(r["config"]), r["id"]), given=r) for r in requests]
        return jobs, Store(Path(requests[0]["outputs"])), Options(LaunchConfig(**launch))

    def state(self) -> State:
        """Return how far the job is."""
        try:
            return State(**json.loads((self.folder / "state.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return State()

    def note(self, state: State) -> None:
        """Record how far the job is."""
        write(self.folder / "state.json", json.dumps(asdict(state)).encode())

    @property
    def ending(self) -> bool:
        """Whether no further run is to be begun."""
        return (self.batch / STOP).exists()


def write_pack(folder: Path, jobs: Sequence[Job], store: Store, options: Options) -> Pack:
    """Write down what a job has to do."""
    content = {
        "names": [job.spec.name for job in jobs],
        "requests": [job.request(store, options) for job in jobs],
        "launch": options.limits,
    }
    write(folder / "pack.json", json.dumps(content).encode())
    return Pack(folder)


def packs_of(batch: Path) -> list[Pack]:
    """Return the packs of a batch."""
    return [Pack(file.parent) for file in sorted(batch.glob("*/pack.json"))]

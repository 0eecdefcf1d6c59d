"""A task as its checks see it: made from its config, built, and trained on its tiny settings."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.data.tables import TimeTable
from lstmlab.schema import RunConfig
from lstmlab.studies.budget import build
from lstmlab.studies.execute import execute_run
from lstmlab.studies.identity import specify
from lstmlab.studies.run import Run
from lstmlab.studies.store import Store
from lstmlab.tasks import Batch, Task
from lstmlab.testing._contract import PromiseError
from lstmlab.testing._spoil import spoiled
from lstmlab.training import deterministic

PART = 0.05  # of the data, where the config does not say how much is test


class TaskSubject:
    """A registered task with a cell, at the size of its ``tiny()``; what takes time is done once.

    Raises:
        UnknownNameError: for a name that nothing is registered under.
    """

    def __init__(self, name: str, cell: str = "vanilla") -> None:
        self.name, self.cell = name, cell
        self.entry = registry.task.entry(name)
        registry.cell.entry(cell)
        self.seconds = 0.0  # of the CPU, for the first run
        self._runs: dict[tuple[int, int], Run | PromiseError] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="lstmlab-check-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @cached_property
    def kind(self) -> type[Task]:
        """The task's class."""
        return registry.task.get(self.name)

    @cached_property
    def config(self) -> RunConfig:
        """The checked config of a tiny run."""
        return check(compose([f"task={self.name}", f"cell={self.cell}", *self.kind.tiny()])).run

    def make(self) -> Task:
        """Return a task that has nothing loaded or fitted yet."""
        return self.kind(deepcopy(self.config.task))

    @cached_property
    def task(self) -> Task:
        """One task for all checks that only look."""
        return self.make()

    @cached_property
    def raw(self) -> Any:
        """What the dataset loads."""
        return self.task.dataset.load()

    def share(self, *splits: str) -> float:
        """Return how much of the data the splits are, by the keys of the config that are called as they are."""
        found = [float(getattr(self.config.task, split, PART)) for split in splits]
        return sum(share if 0 < share < 1 else PART for share in found)

    def altered(self, *splits: str) -> Task:
        """Return a task whose raw data are other ones in these splits.

        Raises:
            PromiseError: when the type of the data is not known.
        """
        return self._altered(self.share(*splits))

    @property
    def rows(self) -> int:
        """How many there are in the data, in the first series of several."""
        return len(next(iter(self.raw.series.values())) if isinstance(self.raw, TimeTable) else self.raw)

    def altered_from(self, row: int) -> Task:
        """Return a task whose raw data are other ones from this row on."""
        return self._altered(1 - (row - 1.5) / self.rows)  # `spoiled` rounds up and leaves one more as it is

    def _altered(self, share: float) -> Task:
        task = self.make()
        try:
            changed = spoiled(self.raw, share, np.random.default_rng(0))
        except TypeError as error:
            raise PromiseError(
                f"data of dataset {self.config.task.dataset!r} cannot be altered: {error}",
                "return a Series, DataFrame, TimeTable, str, dict of splits or function from load(), or register "
                f"how with `lstmlab.testing.spoiled.register({type(self.raw).__name__})`",
            ) from None
        task.dataset.load = lambda: changed  # type: ignore[method-assign]
        return task

    def model(self, cell: str | None = None) -> nn.Module:
        """Return an untrained model, the same at every call."""
        config = replace(self.config.cell, name=cell or self.cell)
        with deterministic(0, self.config.train.threads):
            return build(self.task, config, self.config.engine)

    def batches(self, split: str, count: int, task: Task | None = None) -> list[Batch]:
        """Return the first batches of a split, in the order without ``random``."""
        found = (task or self.task).batches(split, self.config.train.batch_size)
        return list(islice(found, count))

    def run(self, seed: int = 0, copy: int = 0) -> Run:
        """Return a finished tiny run; each ``copy`` of a seed is trained anew.

        Raises:
            PromiseError: when it fails.
        """
        if (seed, copy) not in self._runs:
            self._runs[seed, copy] = self._train(seed, copy)
        found = self._runs[seed, copy]
        if isinstance(found, PromiseError):
            raise found
        return Run(found.folder)  # a handle that has opened nothing yet

    def _train(self, seed: int, copy: int) -> Run | PromiseError:
        spec, store = specify(replace(self.config, seed=seed)), Store(self._folder / str(copy))
        started = time.process_time()
        result = execute_run(spec, store)
        self.seconds = self.seconds or time.process_time() - started
        if result["status"] == "done":
            return Run(store.folder(spec))
        lines = [line.strip() for line in result["traceback"].splitlines() if line.startswith("  File")]
        at = f" ({lines[-1]})" if lines else ""
        return PromiseError(
            f"the tiny run fails: {result['reason']}{at}",
            f"mend it; `lstmlab run task={self.name} {' '.join(self.kind.tiny())}` does the same",
        )


def same(a: Batch, b: Batch) -> bool:
    """Return whether two batches hold the same numbers."""
    pairs = [(a.inputs, b.inputs), (a.targets, b.targets)]
    if (a.lengths is None) != (b.lengths is None) or a.carry != b.carry:
        return False
    if a.lengths is not None and b.lengths is not None:
        pairs.append((a.lengths, b.lengths))
    return all(x.shape == y.shape and torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in pairs)

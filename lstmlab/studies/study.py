"""A study: its runs, done where they are missing, and their results as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import pandas as pd

from lstmlab import paths, registry
from lstmlab.schema import StudyConfig
from lstmlab.studies.drive import drive
from lstmlab.studies.expand import plan
from lstmlab.studies.files import write
from lstmlab.studies.identity import Spec
from lstmlab.studies.run import Run
from lstmlab.studies.search.search import Search
from lstmlab.studies.search.trials import Trial
from lstmlab.studies.status import PLAN
from lstmlab.studies.store import Result, Store
from lstmlab.studies.tables import Sometimes, as_table, say_if_narrowed, write_tables
from lstmlab.tasks import Task


class Study:
    """A set of runs and the question that they answer.

    >>> study = lstmlab.study("variants", ["task=climate", "seed=0,1"])  # doctest: +SKIP
    >>> study.run().table()  # doctest: +SKIP
    """

    def __init__(self, name: str, overrides: Sequence[str] = ()) -> None:
        self.name, self.overrides = name, list(overrides)
        self._planned = plan([f"study={name}", *self.overrides])
        self.settings = self._planned.settings
        self.config: StudyConfig = self.settings.study
        self.store = Store(paths.outputs(self.settings.outputs))
        self.folder = self.store.outputs / self.config.name
        searching = self.config.search is not None
        self.search = Search(self.settings, self._planned.bases, self.store, self.folder) if searching else None

    def run(self, retry: bool = True) -> Self:
        """Do the runs that are missing, and write ``results.csv`` and ``results.parquet`` now and then, and at the end.

        A study with a search does its trials first, and then its runs at the settings that did best.

        Args:
            retry: do runs that failed before again.

        Raises:
            StorageError: when a result is damaged or cannot be written.
            TrainingError: when all trials of a cell failed.
        """
        if self.search is not None:
            self.store.prepare()
            self.search.run(self.write_plan)
        over = ("done",) if retry else ("done", "failed")
        missing = [s for s, r in self.results.items() if r is None or r["status"] not in over]
        self.write_plan()
        say_if_narrowed(self.folder, len(self.specs))
        if missing:
            self.store.prepare()
            recorded = Sometimes(self._write_tables)
            drive(missing, self.store, self.settings, self.config.name, self.results, recorded=recorded)
        self._write_tables()
        return self

    def write_plan(self, runs: Sequence[str] | None = None) -> None:
        """Write down which runs the study consists of, for `lstmlab status` and others who only look at files.

        Args:
            runs: their names as far as they are known; None when all are.
        """
        if runs is None:
            trials = self.search.runs() if self.search else []
            runs = list(dict.fromkeys([*trials, *(spec.name for spec in self.specs)]))
        plan = {"question": self.config.question, "runs": runs}
        write(self.folder / PLAN, json.dumps(plan, indent=1).encode())

    @cached_property
    def specs(self) -> list[Spec]:
        """The runs that are compared.

        Raises:
            LstmlabError: when the search for their settings is not done.
        """
        if self.search is None:
            return self._planned.specs
        best = self.search.best()
        return [pair.spec(trial.settings, seed) for pair, trial in best for seed in self.config.seeds]

    @cached_property
    def chosen(self) -> dict[tuple[str, str], Trial]:
        """The trial with the settings of each task and cell; nothing without a search."""
        best = self.search.best() if self.search else []
        return {(pair.base.task.label, pair.base.cell.name): trial for pair, trial in best}

    @cached_property
    def results(self) -> dict[Spec, Result | None]:
        """What each run ended with; None where it has not."""
        return {spec: self.store.result(spec) for spec in self.specs}

    def table(self) -> pd.DataFrame:
        """Return one row per run: what it was, how it ended, and its test metric.

        Metrics beyond the compared one stand in columns of their own; after a search the chosen settings too,
        and among how many trials they were chosen.
        """
        return as_table(self.results, self._searched)

    def _searched(self, spec: Spec) -> dict[str, Any]:
        """Return the settings that a search chose for a run, and among how many trials."""
        if self.search is None:
            return {}
        config = spec.config
        return self.chosen[config.task.label, config.cell.name].settings | {"trials": self.config.trials}

    @property
    def failures(self) -> dict[str, str]:
        """Names and reasons of the runs that failed."""
        return {s.name: r["reason"] for s, r in self.results.items() if r and r["status"] == "failed"}

    def runs(self, task: str, cell: str) -> list[Run]:
        """Return the finished runs of a task and a cell, by seed."""
        wanted = (task, cell)
        return [
            Run(self.store.folder(s))
            for s, r in self.results.items()
            if r and r["status"] == "done" and (s.config.task.label, s.config.cell.name) == wanted
        ]

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The study's tasks with their data, configured as in its runs."""
        configs = {s.config.task.label: s.config.task for s in self.specs}
        return {label: registry.task.get(config.name)(config) for label, config in configs.items()}

    @cached_property
    def baselines(self) -> dict[str, dict[str, dict[str, float]]]:
        """Task -> baseline -> metric -> value on the test split."""
        return {name: task.baselines("test") for name, task in self.tasks.items()}

    def _write_tables(self) -> None:
        write_tables(self.folder, self.table())

"""A study's search: in rounds, each of a few trials for every cell on every task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from lstmlab.config import Settings as StudySettings
from lstmlab.errors import LstmlabError
from lstmlab.schema import RunConfig
from lstmlab.studies.drive import drive
from lstmlab.studies.files import write
from lstmlab.studies.identity import Spec
from lstmlab.studies.search.pace import Pace, evaluations
from lstmlab.studies.search.pair import Pair
from lstmlab.studies.search.propose import propose
from lstmlab.studies.search.trials import Trial, Trials, alone
from lstmlab.studies.store import Store
from lstmlab.validation import ConfigError

ATTEMPTS = 2  # at a trial: its worker may have been killed. A training that diverges does so again.


@dataclass(frozen=True)
class Asked:
    """A trial whose outcome is not known yet."""

    pair: Pair
    trial: Trial
    spec: Spec
    pace: Pace


class Search:
    """The trials of a study, and the settings that they lead to.

    Several drivers may work on one search. Each asks and tells only while it holds a claim on the study's folder,
    which takes well under a second, and adopts what others have asked for.

    Args:
        settings: of the study.
        bases: a run for each cell on each task, which its trials vary.
        store: where runs are recorded.
        folder: of the study.
    """

    def __init__(self, settings: StudySettings, bases: Sequence[RunConfig], store: Store, folder: Path) -> None:
        self.settings, self.config, self.store, self.folder = settings, settings.study, store, folder
        if self.config.search_seed in self.config.seeds:
            raise ConfigError(
                f"study.search_seed={self.config.search_seed} is one of study.seeds: settings that were chosen with "
                "a seed look better with it than they are. Take another one."
            )
        self.path = folder / "search.csv"
        self.storage = Trials(self.config.storage, folder)
        self.pairs = [Pair(base, self.config) for base in bases]

    def run(self, begun: Callable[[list[str]], object]) -> None:
        """Do the trials that are missing.

        Args:
            begun: told in each round the names of the runs that the search consists of, without the pruned ones.

        Raises:
            KeyboardInterrupt: when the user asked to stop; repeating the search goes on with the same trials.
            StorageError: when the store or the storage of the trials cannot be written.
        """
        while True:
            asked = self._ask()
            begun(self.runs())
            write(self.path, self.table().to_csv(index=False).encode())
            if not self.missing:
                return
            for _ in range(ATTEMPTS):
                self._train(asked)
            self._tell(asked)

    def runs(self) -> list[str]:
        """Return the names of the runs that the trials so far consist of, without the pruned ones."""
        found = [t for pair in self.pairs for t in self.trials_of(pair)]
        return list(dict.fromkeys(t.run for t in found if t.run and t.state != "pruned"))

    def best(self) -> list[tuple[Pair, Trial]]:
        """Return the trial that did best on validation, for each cell on each task.

        Raises:
            LstmlabError: when the search is not done, or all trials of a cell failed.
        """
        if self.missing:
            raise LstmlabError(
                f"study {self.config.name}: its search for settings lacks {self.missing} of "
                f"{len(self.pairs) * self.config.trials} trials, and nothing can be compared before it is through: "
                "`lstmlab study`, or run() in a notebook, goes on with it"
            )
        return [(pair, pair.best(self.trials_of(pair))) for pair in self.pairs]

    @property
    def missing(self) -> int:
        """Number of trials that have no outcome yet."""
        over = sum(t.state != "running" for pair in self.pairs for t in self.trials_of(pair))
        return len(self.pairs) * self.config.trials - over

    def trials_of(self, pair: Pair) -> list[Trial]:
        """Return a pair's trials, in order."""
        return self.storage.of(pair.name)[: self.config.trials]

    def table(self) -> pd.DataFrame:
        """Return one row per trial: settings, how it ended, its value on validation, and whether it was chosen.

        ``step`` is its last evaluation; a pruned trial was left there.
        """
        rows = []
        for pair in self.pairs:
            trials = self.trials_of(pair)
            through = len([t for t in trials if t.state != "running"]) == self.config.trials
            complete = through and any(t.state == "complete" for t in trials)
            chosen = pair.best(trials).number if complete else None
            for t in trials:
                row = {"task": pair.base.task.label, "cell": pair.base.cell.name, "trial": t.number, **t.settings}
                row |= {"state": t.state, "metric": pair.watched.name, "value": t.value}
                row |= {"step": max(t.values, default=None), "chosen": t.number == chosen}
                rows.append(row | {"reason": t.reason, "run": t.run})
        columns = ["task", "cell", "trial", *(axis.key for axis in self.pairs[0].axes)]
        columns += ["state", "metric", "value", "step", "chosen", "reason", "run"]
        return pd.DataFrame(rows, columns=columns).astype({"value": "float64", "step": "Int64"})

    def _ask(self) -> list[Asked]:
        """Return the trials of each pair's current round, those that nobody has asked for yet and the others."""
        with alone(self.folder):
            return [asked for pair in self.pairs for asked in self._ask_for(pair)]

    def _ask_for(self, pair: Pair) -> Iterator[Asked]:
        trials = self.trials_of(pair)
        running = [t.number for t in trials if t.state == "running"]
        first = pair.first_of_round(running[0] if running else len(trials))
        for number in range(len(trials), min(first + self.config.batch, self.config.trials)):
            settings = propose(pair, trials, number)
            spec, _ = pair.possible(settings)
            trials.append(Trial(number, settings, spec.name if spec else ""))
            self.storage.ask(pair.name, pair.direction, trials[-1], pair.distributions)
        for trial in [t for t in trials if t.state == "running"]:
            spec, reason = pair.possible(trial.settings)
            if spec is None:
                self.storage.tell(pair.name, replace(trial, state="failed", reason=reason))
            else:
                yield Asked(pair, trial, spec, pair.pace(trials, trial.number, spec.config.train.steps))

    def _train(self, asked: Sequence[Asked]) -> None:
        """Do the runs of trials that have no outcome, or failed."""
        todo = {a.spec: a.pace for a in asked if self._outcome(a).state in ("running", "failed")}
        results = {a.spec: self.store.result(a.spec) for a in asked}
        numbers = [a.trial.number + 1 for a in asked]
        title = f"{self.config.name}, trials up to {max(numbers)} of {self.config.trials}"
        if todo:
            drive(list(todo), self.store, self.settings, title, results, todo)

    def _tell(self, asked: Sequence[Asked]) -> None:
        """Write down what came of trials, in their order."""
        with alone(self.folder):
            for a in asked:
                outcome = self._outcome(a)
                if outcome.state != "running":
                    self.storage.tell(a.pair.name, outcome)

    def _outcome(self, a: Asked) -> Trial:
        """Return a trial with what the store has of its run; running where that has not ended.

        A trial that is behind its pace is pruned, even where its run has been trained to the end for another study.
        """
        result, rows = self.store.result(a.spec), evaluations(self.store.folder(a.spec))
        metric, left = a.pair.watched.name, a.pace.behind(rows)
        values = {row["step"]: row[metric] for row in rows if not left or row["step"] <= left}
        if left:
            return replace(a.trial, state="pruned", value=values[left], values=values)
        if result is None:
            return a.trial
        value = result["scores"]["validation"][metric] if result["status"] == "done" else math.nan
        if not math.isnan(value):
            return replace(a.trial, state="complete", value=value, values=values)
        reason = result.get("reason", f"its {metric} on validation is not a number")
        return replace(a.trial, state="failed", reason=reason, values=values)

"""The search for the best settings of one cell on one task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lstmlab import registry
from lstmlab.errors import LstmlabError, TrainingError
from lstmlab.schema import RunConfig, StudyConfig
from lstmlab.studies.budget import budget_of, within_budget
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.search.pace import Pace
from lstmlab.studies.search.space import Settings, read_space, with_settings
from lstmlab.studies.search.trials import Direction, Trial
from lstmlab.tasks import Metric
from lstmlab.validation import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DECIDES = ("search", "space", "batch", "prune_after", "prune_warmup")  # beside the run that trials vary


class Pair:
    """A cell on a task, and what its trials are.

    What is asked for, and when a trial is left, depends on the trials of earlier rounds only. So everybody who
    goes on with a search asks for the same, in whatever order the trials of a round end.

    Attributes:
        name: under which its trials are stored; another one as soon as anything changes that decides what they
            are, the code of cell and task included.
    """

    def __init__(self, base: RunConfig, config: StudyConfig) -> None:
        self.base, self.config = replace(base, seed=config.search_seed), config
        self.title = f"{base.task.label}/{base.cell.name}"
        self.axes = read_space(config.space, self.base)
        self.budget = budget_of(base)
        self.watched: Metric = registry.task.get(base.task.name)(base.task).watched
        self.direction: Direction = "minimize" if self.watched.better == "lower" else "maximize"  # in Optuna's words
        facts = [self.spec({}).id, {key: getattr(config, key) for key in DECIDES}]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        self.name = f"{config.name}/{self.title}/{digest}"
        self._refuse_impossible()

    def spec(self, settings: Settings, seed: int | None = None) -> Spec:
        """Return the run with some settings: as many parameters as without them, whatever they are.

        Args:
            settings: that differ from those of the study.
            seed: of the comparison; None for a trial's.

        Raises:
            LstmlabError: when there is no such run.
        """
        base = self.base if seed is None else replace(self.base, seed=seed)
        return specify(within_budget(with_settings(base, settings), self.budget))

    def possible(self, settings: Settings) -> tuple[Spec | None, str]:
        """Return a trial's run; where there is none, as settings that are possible each are not together, why not."""
        try:
            return self.spec(settings), ""
        except (LstmlabError, ValueError) as error:  # a layer raises ValueError for options that it cannot have
            return None, str(error)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What is drawn from, by setting."""
        return {axis.key: axis.distribution() for axis in self.axes}

    def usual(self) -> Settings:
        """Return the settings that the runs have without a search; {} where the space does not hold them."""
        values: Settings = {}
        for axis in self.axes:
            group, _, name = axis.key.partition(".")
            values[axis.key] = getattr(getattr(self.base, group), name)
        return values if all(axis.holds(values[axis.key]) for axis in self.axes) else {}

    def pace(self, trials: Sequence[Trial], number: int, steps: int) -> Pace:
        """Return what a trial of ``steps`` steps has to keep up with: the median of those before its round."""
        earlier = [t for t in trials[: self.first_of_round(number)] if t.state == "complete"]
        values = []
        if self.config.prune_after is not None and len(earlier) >= self.config.prune_after:
            begin = self.config.prune_warmup * steps
            for step in sorted({s for t in earlier for s in t.values if begin <= s < steps}):
                there = [t.values[step] for t in earlier if step in t.values and not np.isnan(t.values[step])]
                values += [(step, float(np.median(there)))] if there else []
        return Pace(self.watched.name, self.watched.better, tuple(values))

    def best(self, trials: Sequence[Trial]) -> Trial:
        """Return the complete trial with the best value on validation, of equals the first.

        Raises:
            TrainingError: when every trial failed.
        """
        complete = [t for t in trials if t.state == "complete"]
        if not complete:
            reasons = list(dict.fromkeys(t.reason for t in trials))
            raise TrainingError(
                f"study {self.config.name}: all {len(trials)} trials of {self.title} failed, so there are no best "
                f"settings: {'; '.join(reasons[:3])}. Change study.space, or what is wrong with the runs."
            )
        sign = 1 if self.watched.better == "lower" else -1
        return min(complete, key=lambda t: (sign * float(t.value or 0.0), t.number))

    def first_of_round(self, number: int) -> int:
        """Return the first trial of the round that a trial belongs to."""
        return number // self.config.batch * self.config.batch

    def _refuse_impossible(self) -> None:
        """Refuse values with which the cell cannot be built."""
        for key, value in [(a.key, v) for a in self.axes if a.key.startswith("cell.") for v in a.extremes]:
            spec, reason = self.possible({key: value})
            if spec is None:
                raise ConfigError(f"study.space: {self.title} with {key}={value}: {reason}")

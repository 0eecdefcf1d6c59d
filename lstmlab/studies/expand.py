"""From a study's config and overrides to its list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.types import Override

from lstmlab.config import Settings, check, compose, parse
from lstmlab.schema import RunConfig
from lstmlab.studies.budget import within_budget
from lstmlab.studies.devices import refuse_devices
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.trackers import require
from lstmlab.validation import ConfigError

AXES = {"task": "tasks", "cell": "cells", "seed": "seeds"}  # override -> key of the group study
OURS = ("study", "launch", "report", "outputs", "workers", "checkpoint_minutes", "trackers")


@dataclass(frozen=True)
class Plan:
    """A study's settings and its runs.

    Attributes:
        bases: a config for each cell on each task, before budget and seeds: what a search varies.
        specs: the runs; none for a study that has to search for their settings first.
    """

    settings: Settings
    bases: list[RunConfig]
    specs: list[Spec]


def plan(given: Sequence[str]) -> Plan:
    """Return the runs of a study.

    ``task=``, ``cell=`` and ``seed=`` narrow the study and take several values separated by
    commas; ``study``, ``launch``, ``report``, ``outputs``, ``workers``, ``checkpoint_minutes`` and
    ``trackers`` configure it; everything else is handed to each run. Each (task, cell) is composed once
    and copied for every seed.

    Raises:
        ConfigError: for whatever is wrong in any of the runs.
        LstmlabError: for a tracker that is not installed.
    """
    ours: list[str] = []
    handed_on: list[str] = []
    axes: dict[str, Any] = {}
    for override in parse(given):
        key = override.key_or_group
        if key in AXES:
            axes[AXES[key]] = _values(override)
        elif key.split(".")[0] in OURS:
            ours.append(str(override.input_line))
        else:
            handed_on.append(str(override.input_line))
    settings = check(compose(ours))
    require(settings.trackers)
    study = settings.study = replace(settings.study, **axes)
    for key in AXES.values():
        values = getattr(study, key)
        if not values:
            raise ConfigError(f"study.{key} is empty: name at least one")
        setattr(study, key, list(dict.fromkeys(values)))
    overrides = [*study.overrides, *handed_on]
    bases = [
        check(compose([f"task={task}", f"cell={cell}", *overrides])).run for task in study.tasks for cell in study.cells
    ]
    for base in bases:
        refuse_devices(base)
    _refuse_equal_labels(bases)
    runs = [] if study.search else [within_budget(base) for base in bases]
    return Plan(settings, bases, [specify(replace(run, seed=seed)) for run in runs for seed in study.seeds])


def _refuse_equal_labels(runs: list[RunConfig]) -> None:
    """Tables tell tasks apart by their label alone."""
    known: dict[str, Any] = {}
    for run in runs:
        if known.setdefault(run.task.label, run.task) != run.task:
            raise ConfigError(
                f"two different tasks of the study are both called {run.task.label!r} in tables: "
                "give one of them another task.variant in its file"
            )


def _values(override: Override) -> list[str] | list[int]:
    values: list[Any] = list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]
    if override.key_or_group != "seed":
        return [str(v) for v in values]
    for value in values:
        if not isinstance(value, int | str) or not str(value).isdecimal():
            raise ConfigError(f"{override.input_line}: expected whole numbers from 0 on, as in seed=0,1,2")
    return [int(v) for v in values]

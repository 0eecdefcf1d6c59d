"""Which settings the next trial tries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lstmlab.studies.search.pair import Pair
from lstmlab.studies.search.space import Settings
from lstmlab.studies.search.trials import THEIRS, Trial, quiet

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

STARTUP = 8  # trials of random settings, before TPE has enough to go by


def propose(pair: Pair, trials: Sequence[Trial], number: int) -> Settings:
    """Return the settings of a trial: first those that the runs have anyway, then what the sampler draws.

    The outcomes of the trial's own round are not looked at, as if all its trials had been asked for at once.

    Args:
        pair: the cell and task that are tuned.
        trials: all with smaller numbers.
        number: of the trial, from 0 on.
    """
    from optuna import create_study

    if number == 0 and (usual := pair.usual()):
        return usual
    first = pair.first_of_round(number)
    with quiet():
        study = create_study(direction=pair.direction, sampler=_sampler(pair, number))
        study.add_trials([_of_optuna(pair, t, known=t.number < first) for t in trials[:number]])
        drawn = study.ask(pair.distributions).params
    return {axis.key: axis.readable(drawn[axis.key]) for axis in pair.axes}


def _sampler(pair: Pair, number: int) -> BaseSampler:
    """Return a sampler whose luck depends on the number of the trial alone, so that all cells share it."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(hashlib.sha256(f"{pair.config.search_seed}/{number}".encode()).hexdigest()[:8], 16)
    if pair.config.search == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)


def _of_optuna(pair: Pair, trial: Trial, known: bool) -> FrozenTrial:
    """Return a trial as Optuna's samplers see it: without its outcome where that is not ``known`` yet."""
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState[THEIRS[trial.state if known else "running"]],
        value=trial.value if known else None,
        params=trial.settings,
        distributions=pair.distributions,
        intermediate_values=dict(trial.values) if known else {},
    )

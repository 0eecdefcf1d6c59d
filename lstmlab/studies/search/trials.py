"""The trials of a search, written down in a file of the study's folder or in a database, by one driver at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lstmlab.errors import LstmlabError
from lstmlab.studies import claims
from lstmlab.studies.files import StorageError, failure
from lstmlab.studies.search.space import Settings
from lstmlab.validation import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Direction = Literal["minimize", "maximize"]
JOURNAL = "search.journal"
LOOK_EVERY = 0.1  # seconds between two looks whether another driver is through
STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}  # Optuna's, and ours
THEIRS = {ours: theirs for theirs, ours in STATES.items()}


@dataclass(frozen=True)
class Trial:
    """Settings that are tried, and what came of them.

    Attributes:
        number: from 0 on, among those of one cell on one task.
        run: name of the run's folder.
        state: "running", which means no more than asked for; "complete"; "pruned"; or "failed".
        value: of the watched metric on validation, the best of the run; of a pruned one at its last evaluation.
        values: of the watched metric, by step.
        reason: why it failed.
    """

    number: int
    settings: Settings
    run: str
    state: str = "running"
    value: float | None = None
    values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""


class Trials:
    """All trials of a study, by the name of their `Pair`. Who writes must be `alone`.

    Args:
        url: of a database; None for a journal in ``folder``.
        folder: of the study.
    """

    def __init__(self, url: str | None, folder: Path) -> None:
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise LstmlabError("study.search needs Optuna: pip install 'lstmlab[search]'") from None
        if url is not None and "://" not in url:
            raise ConfigError(
                f"study.storage={url!r}: expected the URL of a database, as in sqlite:///trials.db or "
                "postgresql://HOST/NAME, or null for a file in the study's folder."
            )
        self.url, self.path = url, folder / JOURNAL

    def of(self, name: str) -> list[Trial]:
        """Return the trials of a pair, in order."""
        if self.url is None and not self.path.exists():
            return []
        with self._accessing():
            try:
                study = self._storage.get_study_id_from_name(name)
            except KeyError:
                return []
            found = self._storage.get_all_trials(study)
        return [_trial(t) for t in sorted(found, key=lambda t: t.number)]

    def ask(self, name: str, direction: Direction, trial: Trial, distributions: Mapping[str, BaseDistribution]) -> None:
        """Write down a trial that is to be done, whole or not at all."""
        from optuna import create_study
        from optuna.trial import TrialState, create_trial

        with self._accessing():
            study = create_study(study_name=name, direction=direction, storage=self._storage, load_if_exists=True)
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING,
                    params=trial.settings,
                    distributions=dict(distributions),
                    user_attrs={"run": trial.run},
                )
            )

    def tell(self, name: str, trial: Trial) -> None:
        """Write down what came of a trial, unless that is there already."""
        from optuna.trial import TrialState

        state = TrialState[THEIRS[trial.state]]
        with self._accessing():
            study = self._storage.get_study_id_from_name(name)
            id = self._storage.get_trial_id_from_study_id_trial_number(study, trial.number)
            if self._storage.get_trial(id).state.is_finished():
                return
            if trial.reason:
                self._storage.set_trial_user_attr(id, "reason", trial.reason)
            for step, value in trial.values.items():
                self._storage.set_trial_intermediate_value(id, step, value)
            self._storage.set_trial_state_values(id, state, None if trial.value is None else [trial.value])

    @cached_property
    def _storage(self) -> BaseStorage:
        """The storage; its file or its tables are made where they are not there.

        The lock of the file is another one that is made only if it is not there, as a claim is: that holds on
        network folders (NFS from version 3 on), and where a file system knows no symbolic links.
        """
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        if self.url is not None:
            return RDBStorage(self.url)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(self.path), JournalFileOpenLock(str(self.path))))

    @contextmanager
    def _accessing(self) -> Iterator[None]:
        """Say where something goes wrong, and what to do."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with quiet():
                yield
        except OSError as error:
            raise failure(self.path, error) from error
        except (ValueError, KeyError, ImportError, optuna.exceptions.OptunaError, SQLAlchemyError) as error:
            if self.url is not None:
                raise StorageError(f"study.storage cannot be used: {error}") from error
            raise StorageError(
                f"{self.path} is damaged: {error}. Delete it and repeat the command: the same trials are asked for "
                "again, and finished runs are taken from the store."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Let Optuna say nothing: what goes wrong is raised, and said by us."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _trial(stored: FrozenTrial) -> Trial:
    attributes = stored.user_attrs
    return Trial(
        stored.number,
        stored.params,
        attributes["run"],
        STATES[stored.state.name],
        stored.value,
        stored.intermediate_values,
        attributes.get("reason", ""),
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other driver asks or tells, and keep it so for as long as the block runs.

    Raises:
        StorageError: when the folder cannot be written.
    """
    observer = claims.Observer()
    while True:
        with claims.hold(folder, observer.silent(folder)) as claim:
            if claim is not None:
                yield
                return
        time.sleep(LOOK_EVERY)

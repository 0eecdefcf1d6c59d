"""MLflow: the server of ``MLFLOW_TRACKING_URI``, or an SQLite file below ``<outputs>/mlflow``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from lstmlab.studies.store import Result
from lstmlab.studies.trackers.tracker import Row, Tracked, final, values

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
for key, value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # by default MLflow tries for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(key, value)

from mlflow.entities import Metric, Param, RunTag  # noqa: E402  reads the environment
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: E402, F401  not while somebody trains
from mlflow.tracking import MlflowClient  # noqa: E402

METRICS, PARAMS = 1000, 100  # that MLflow takes at once
LONGEST = 5000  # characters of a value
DATABASE = "mlflow.db"
ID = "mlflow.json"  # in the run's folder, until it has ended: which run of MLflow it is
T = TypeVar("T")


class MLflow:
    """A run in MLflow; one that was interrupted goes on as the same."""

    def __init__(self, run: Tracked) -> None:
        self.run = run
        folder = run.store.outputs / "mlflow"
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / DATABASE}"
        self._local = None if os.environ.get("MLFLOW_TRACKING_URI") else folder
        self._logged: dict[str, int] = {}  # metric -> its last step

    def begin(self, rows: Sequence[Row]) -> None:
        if self._local and not (self._local / DATABASE).exists():
            _make(self._local)
        self._client = MlflowClient(self._uri)
        self._id = self._former() or self._new()
        self.log(rows)

    def log(self, rows: Sequence[Row]) -> None:
        now = int(1000 * time.time())
        metrics = [
            Metric(_name(key), value, now, row["step"])
            for row in rows
            for key, value in values(row).items()
            if row["step"] > self._logged.get(_name(key), -1)
        ]
        for part in _parts(metrics, METRICS):
            self._client.log_batch(self._id, metrics=part)

    def end(self, result: Result | None) -> None:
        if result is None:
            self._client.set_terminated(self._id, "KILLED")
            return
        if result["status"] == "done":
            self.log([final(result)])
            self._client.set_terminated(self._id, "FINISHED")
        else:
            self._client.log_batch(self._id, tags=[RunTag("reason", result["reason"][:LONGEST])])
            self._client.set_terminated(self._id, "FAILED")
        (self.run.folder / ID).unlink(missing_ok=True)

    def _former(self) -> str | None:
        """Return the id under which the run was begun, having found out what MLflow has of it."""
        try:
            known = json.loads((self.run.folder / ID).read_text(encoding="utf-8"))
            id = str(known["run"])
            if known["uri"] != self._uri:
                return None
            metrics = self._client.get_run(id).data.metrics
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        self._logged = {key: max(m.step for m in self._client.get_metric_history(id, key)) for key in metrics}
        self._client.update_run(id, status="RUNNING")
        return id

    def _new(self) -> str:
        run = self._client.create_run(self._experiment(), run_name=self.run.spec.name)
        id = str(run.info.run_id)
        (self.run.folder / ID).write_text(json.dumps({"uri": self._uri, "run": id}), encoding="utf-8")
        params = [Param(key, str(value)[:LONGEST]) for key, value in self.run.settings().items()]
        for part in _parts(params, PARAMS):
            self._client.log_batch(id, params=part)
        return id

    def _experiment(self) -> str:
        """Return the id of the study's experiment; of several processes that make it at once, one succeeds."""
        name = self.run.experiment
        found = self._client.get_experiment_by_name(name)
        if found is None:
            where = (self._local / "artifacts" / name).as_uri() if self._local else None
            try:
                return str(self._client.create_experiment(name, artifact_location=where))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)


def _make(folder: Path) -> None:
    """Make an empty database. MLflow's steps to one disturb each other when several processes take them at once."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{socket.gethostname()}-{os.getpid()}.db"
    try:
        MlflowClient(f"sqlite:///{new}")
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(new, folder / DATABASE)
    finally:
        new.unlink(missing_ok=True)


def _name(key: str) -> str:
    """Return a metric's name without what MLflow does not allow in it."""
    return re.sub(r"[^\w\-. :/]", "_", key)


def _parts(things: Sequence[T], size: int) -> Iterator[list[T]]:
    rest: Any = iter(things)
    while part := list(islice(rest, size)):
        yield part

"""The Dask cluster of a study: one that runs already, jobs of a batch queue, or workers on this machine."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lstmlab.errors import LstmlabError
from lstmlab.schema import DaskConfig
from lstmlab.studies.launch.events import Options

LOOPBACK = "127.0.0.1"
CLUSTERS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}
SCHEMES = ("tcp://", "tls://")


def say(text: str) -> None:
    """Tell the user something that is no event of a run."""
    print(f"lstmlab: {text}", file=sys.stderr, flush=True)


@contextmanager
def connected(config: DaskConfig, options: Options, threads: int, logs: Path) -> Iterator[Any]:
    """Give a client of the cluster; what was started for the study ends with the block.

    Args:
        config: which cluster.
        options: how many workers.
        threads: of a run.
        logs: a folder for what jobs print, unless jobqueue.yaml names one.

    Raises:
        LstmlabError: when Dask is not installed, the settings contradict one another, or no scheduler answers.
    """
    _check(config, options)
    client_of = _load("distributed").Client
    with _cluster(config, options, threads, logs) as cluster:
        if config.address:
            say(f"connecting to the Dask scheduler {config.address}")
        try:
            client = client_of(cluster or config.address, set_as_default=False)
        except (OSError, ImportError, TypeError, ValueError) as error:  # TypeError: TLS without certificates
            raise LstmlabError(
                f"no Dask scheduler can be reached at launch.address={config.address}: {error}. Start one with "
                "`dask scheduler`; for tls://, name certificates in Dask's configuration (distributed.comm.tls)"
            ) from None
        with client:
            yield client


def describe(client: Any) -> str:
    """Return where the scheduler and its dashboard are, as a line for the user."""
    import requests

    link = client.dashboard_link
    try:
        absent = link and requests.get(link, timeout=2).text.startswith("<p>Dask needs bokeh")
        where = "no dashboard: bokeh is not installed beside it" if absent or not link else f"dashboard {link}"
    except requests.RequestException:
        where = f"dashboard {link}, which cannot be reached from this machine"
    return f"Dask scheduler {client.scheduler.address}; {where}"


def _check(config: DaskConfig, options: Options) -> None:
    if config.address and config.jobqueue:
        raise LstmlabError(
            f"launch.address={config.address} and launch.jobqueue={config.jobqueue} exclude one another: "
            "a running scheduler has its workers, a job queue starts new ones"
        )
    if config.address and not config.address.startswith(SCHEMES):
        raise LstmlabError(f"launch.address={config.address}: expected tcp://HOST:PORT or tls://HOST:PORT")
    jobs = {key: getattr(config, key) for key in ("queue", "cpus", "memory", "minutes")}
    for key, value in jobs.items():
        if value is not None and not config.jobqueue:
            raise LstmlabError(f"launch.{key}={value} is for jobs: give launch.jobqueue=slurm, pbs or lsf too")
    for name, amount in (config.resources or {}).items():
        if not amount > 0:
            raise LstmlabError(f"launch.resources: a run takes {amount:g} of {name!r}; expected more than 0")
    if config.jobqueue and options.asked is None:
        raise LstmlabError(f"launch.jobqueue={config.jobqueue}: say how many jobs to submit, as in workers=4")


def _cluster(config: DaskConfig, options: Options, threads: int, logs: Path) -> Any:
    if config.address:
        return nullcontext()
    if config.jobqueue:
        return _jobs(config, options.workers, threads, logs)
    security = _load("distributed").Security()
    # Its workers are threads of this process, which wait for the processes that do the runs.
    return _load("distributed").LocalCluster(
        n_workers=options.workers,
        threads_per_worker=threads,
        processes=False,
        protocol="tls://" if security.require_encryption else "tcp://",
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        memory_limit=0,
        security=security,
        silence_logs=logging.ERROR,
    )


@contextmanager
def _jobs(config: DaskConfig, number: int, threads: int, logs: Path) -> Iterator[Any]:
    with job_cluster(config, threads, logs) as cluster:
        try:
            fill(cluster, number)
            yield cluster
        finally:
            for job in list(cluster._created):  # Dask wants to see this, and dask-jobqueue's jobs do not set it
                job.status = _load("distributed").Status.closing


def fill(cluster: Any, jobs: int) -> None:
    """Submit jobs until there are as many as asked for; those that were ended are replaced.

    Raises:
        LstmlabError: when the queue refuses one.
    """
    while len(cluster.worker_spec) < jobs:
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)  # what Dask's own scale() begins, and keeps the failures of to itself
    except (OSError, RuntimeError) as error:
        raise LstmlabError(f"a job for a Dask worker could not be submitted: {error}") from None


def job_cluster(config: DaskConfig, threads: int, logs: Path) -> Any:
    """Return the cluster of ``launch.jobqueue``, which has no jobs yet.

    Raises:
        LstmlabError: when neither the config nor jobqueue.yaml says what a job needs.
    """
    queue = str(config.jobqueue)
    conf, given = _load("dask").config, {"queue": config.queue}
    library = _load("dask_jobqueue")  # its defaults join Dask's configuration
    security = _load("distributed").Security()
    if config.memory is not None:
        given["memory"] = f"{config.memory:g}GB"
    if config.minutes is not None:
        hours, minutes = divmod(config.minutes, 60)
        given["walltime"] = f"{hours:02}:{minutes:02}" + ("" if queue == "lsf" else ":00")
    offered = ",".join(f"{name}={amount:g}" for name, amount in (config.resources or {}).items())
    more = [*conf.get(f"jobqueue.{queue}.worker-extra-args"), *(["--resources", offered] if offered else [])]
    try:
        return getattr(library, CLUSTERS[queue])(
            cores=config.cpus or conf.get(f"jobqueue.{queue}.cores") or threads,
            processes=conf.get(f"jobqueue.{queue}.processes") or 1,
            worker_extra_args=more,
            log_directory=conf.get(f"jobqueue.{queue}.log-directory") or str(logs),
            security=security if security.require_encryption else None,
            **{key: value for key, value in given.items() if value is not None},
        )
    except ValueError as error:
        raise LstmlabError(
            f"launch.jobqueue={queue}: {error} (as launch.cpus and launch.memory, or in Dask's jobqueue.yaml)"
        ) from None


def _load(module: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(module)
    except ImportError as error:
        raise LstmlabError(f"launch=dask cannot be used: {error}. Install it: pip install 'lstmlab[cluster]'") from None

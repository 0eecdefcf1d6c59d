"""One run on several devices: torch's elastic launcher starts a process for each, here and on other nodes."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from lstmlab.studies import claims
from lstmlab.studies.checkpoint import drop_checkpoint
from lstmlab.studies.execute import Elsewhere, Interrupted, Progress
from lstmlab.studies.files import StorageError, make_folder
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.process import cause
from lstmlab.studies.rendezvous import BACKEND, Meeting
from lstmlab.studies.search.pace import Left
from lstmlab.studies.store import Result, Store
from lstmlab.studies.terms import Terms

MODULE = "lstmlab.studies.rank"
ENVIRONMENT = {
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # no store of the launcher's own: it would listen on all interfaces
    "TORCH_CPP_LOG_LEVEL": "ERROR",  # ranks look for unused parameters although there are none, and torch would wonder
}
LOOK_EVERY = 0.25  # seconds between two looks at how the ranks are doing
ENDS = 5  # seconds that ranks have to end after one has failed
SHOWS = 30.0  # seconds within which a result that another node wrote shows in a network folder


def execute_on_ranks(
    spec: Spec,
    store: Store,
    terms: Terms,
    progress: Progress,
    begun: Callable[[], object],
) -> Result:
    """Do a run on ``train.devices`` processes here, and as many on each other node that calls this too.

    What the arguments mean, and what is raised, is as with `execute_run`; the ranks do the rest.
    """
    folder = store.folder(spec)
    former = store.result(spec)
    if former is not None and former["status"] == "done":
        return former
    other = claims.Observer().alive(folder)
    if other is not None and claims.generation(folder) != terms.stale:
        raise Elsewhere(other.name)
    make_folder(folder)
    begun()
    meeting = Meeting(terms.rendezvous if spec.config.train.nodes > 1 else None, lambda: progress(0, math.nan))
    request = json.dumps(
        {
            "config": asdict(spec.config),
            "id": spec.id,
            "outputs": str(store.outputs.absolute()),
            "terms": asdict(terms),
            "meeting": meeting.address,
        }
    )
    with ThreadPoolExecutor(1) as pool:
        # In a thread the launcher leaves signals to us: those of a worker, a notebook or the command line differ.
        ranks = pool.submit(_launch, spec, meeting, request)
        try:
            stopped = _watch(ranks, folder, meeting, progress)
        finally:
            while wait([ranks], 0).not_done:
                _kill_ranks(request)
                meeting.close()
                wait([ranks], 1)
    error = ranks.exception()
    result = _shown(spec, store, SHOWS if error is None and spec.config.train.nodes > 1 and not stopped else 0.0)
    if result is not None and result["status"] == "done":
        return result
    if stopped:
        raise Interrupted
    return _failed(spec, store, meeting, error)


def _shown(spec: Spec, store: Store, patience: float) -> Result | None:
    """Return what the run ended with, waiting for a network folder to show what another node wrote."""
    end = time.monotonic() + patience
    while (result := store.result(spec)) is None and time.monotonic() < end:
        time.sleep(LOOK_EVERY)
    return result


def _watch(ranks: Future[None], folder: Path, meeting: Meeting, progress: Progress) -> bool:
    """Tell how far the run is until all ranks have ended; return whether they were asked to."""
    try:
        while wait([ranks], LOOK_EVERY).not_done:
            holder = claims.holder(folder)
            if holder is None or holder.loss is None:
                progress(0, math.nan)
            else:
                progress(holder.step, holder.loss)
    except Interrupted:
        meeting.stop()
        while wait([ranks], 1).not_done:
            meeting.close()
        return True
    return False


def _launch(spec: Spec, meeting: Meeting, request: str) -> None:
    train = spec.config.train
    config = LaunchConfig(
        min_nodes=train.nodes,
        max_nodes=train.nodes,
        nproc_per_node=train.devices,
        run_id=spec.id,
        rdzv_backend=BACKEND,
        rdzv_endpoint=meeting.address,
        rdzv_configs={"meeting": meeting},
        max_restarts=0,  # a run that fails is shown as failed, and begun again by the next command
        monitor_interval=LOOK_EVERY,
        local_addr=meeting.own_address,
        shutdown_timeout=ENDS,
    )
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)  # we say it ourselves
    with _environment():
        elastic_launch(config, sys.executable)("-m", MODULE, request)


@contextmanager
def _environment() -> Iterator[None]:
    """Set what torch reads, and put it back; what the user has set stays."""
    before = {key: os.environ.get(key) for key in ENVIRONMENT}
    os.environ.update({key: ENVIRONMENT[key] for key, value in before.items() if value is None})
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]


def _failed(spec: Spec, store: Store, meeting: Meeting, error: BaseException | None) -> Result:
    """Record why there is no result. One that raised begins anew the next time, others go on from a checkpoint."""
    folder = store.folder(spec)
    first = next((said for said in meeting.failures() if not said["lost"]), None)
    if first is not None and first["kind"] == Elsewhere.__name__:
        raise Elsewhere(first["reason"])
    if first is not None and first["kind"] == StorageError.__name__:
        raise StorageError(first["reason"])
    if first is not None and first["kind"] == Left.__name__:
        raise Left(int(first["reason"]))
    with claims.hold(folder) as claim:
        if claim is None:
            raise Elsewhere("another node")
        if first is None:
            return store.fail(spec, _cause(error, meeting))
        drop_checkpoint(folder)
        return store.fail(spec, first["reason"], first["details"])


def _cause(error: BaseException | None, meeting: Meeting) -> str:
    """Return what is known where no rank has raised anything but that it lost another."""
    if error is None:
        return "its processes were stopped by a signal; the same command goes on from the last checkpoint"
    if not isinstance(error, ChildFailedError):
        return f"its nodes did not meet at {meeting.address}: {error}"
    died = {rank: failure.exitcode for rank, failure in error.failures.items()}
    rank = min(died, key=lambda rank: died[rank] >= 0)  # the first that a signal ended, the others then lost it
    if died[rank] < 0 or not meeting.failures():
        return f"rank {rank} died: {cause(died[rank])}"
    return f"rank {rank} lost the ranks of another node, where `lstmlab run` says why"


def _kill_ranks(request: str) -> None:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if request in child.cmdline():
                child.kill()

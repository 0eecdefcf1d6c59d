"""A process that is one rank of a run on several devices; torch's elastic launcher starts it.

Rank 0 holds the claim and records, as the one process of a run on one device does. SIGTERM and SIGINT, or a word in
the meeting's store, make all ranks leave after the same step, with a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lstmlab import registry
from lstmlab.config import check_run
from lstmlab.errors import LstmlabError
from lstmlab.studies import claims
from lstmlab.studies.budget import build
from lstmlab.studies.checkpoint import drop_checkpoint, load_checkpoint
from lstmlab.studies.execute import Elsewhere, Interrupted, Records, train
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec
from lstmlab.studies.rendezvous import STOP, Meeting, ranks_store
from lstmlab.studies.search.pace import Left
from lstmlab.studies.store import Result, Store
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import Tracking, to_stderr
from lstmlab.tasks import Task
from lstmlab.training import deterministic, fit
from lstmlab.training.determinism import check_device
from lstmlab.training.distributed import DistributedTraining
from lstmlab.training.group import Group, joined
from lstmlab.training.loop import Training

LOOK_EVERY = 0.2  # seconds between two looks whether somebody wants to stop


class SharedRecords(Records):
    """Rank 0's records: a checkpoint is written when all ranks give their parts, after the same step."""

    group: Group

    def due(self) -> bool:
        """Return whether all ranks agree on a checkpoint now; wish for one when it is time."""
        agreed = self.group.agreed["save"]
        self.group.wishes["save"] = not agreed and super().due()
        return agreed


def lead(spec: Spec, store: Store, group: Group, terms: Terms) -> None:
    """Do a run as rank 0, which claims and records it.

    Raises:
        Elsewhere: when another process works on it.
    """
    folder = store.folder(spec)

    def progress(step: int, loss: float) -> None:
        if group.agreed["stop"]:
            raise Interrupted

    with claims.hold(folder, terms.stale) as claim:
        former = store.result(spec) if claim else None
        if claim is None or (former is not None and former["status"] == "done"):
            group.told({"begin": False})
            if claim is None:
                raise Elsewhere(claims.holder_name(folder))
            return
        store.begin(spec)
        tracking = Tracking(terms.trackers, spec, store, to_stderr)
        result: Result | None = None
        try:
            records = _begun(group, folder, claim, progress, spec.config.train.steps, terms, tracking)
            result = train(spec, store, records, partial(DistributedTraining, group=group))
        except (StorageError, Elsewhere, Left):
            raise
        except Exception as error:  # whoever started us records it
            result = {"status": "failed", "reason": str(error)}
            raise
        finally:
            tracking.end(result)
        drop_checkpoint(folder)


def _begun(group: Group, *given: Any) -> SharedRecords:
    """Tell the others from where the run goes on, and return its records."""
    try:
        records = SharedRecords(*given)
    except BaseException:
        group.told({"begin": False})
        raise
    records.group = group
    group.told({"begin": True, "step": records.resume[0].facts["progress"]["step"] if records.resume else 0})
    return records


def follow(spec: Spec, store: Store, group: Group, terms: Terms) -> None:
    """Do a run as one of the other ranks."""
    config, word = spec.config, group.told(None)
    if not word["begin"]:
        return
    resume = load_checkpoint(store.folder(spec)) if word["step"] else None
    if word["step"] and (resume is None or resume[0].facts["progress"]["step"] != word["step"]):
        raise StorageError(f"{store.folder(spec)}: rank {group.rank} finds another checkpoint there than rank 0")

    def watch(training: Training) -> None:
        # Rank 0 takes these snapshots, in this order, in `Records.watch`.
        if group.agreed["save"]:
            training.snapshot()
        rows = training.history
        if terms.pace is not None and rows[-1]["split"] == "validation" and (step := terms.pace.behind(rows)):
            training.snapshot()
            raise Left(step)
        if group.agreed["stop"]:
            training.snapshot()
            raise Interrupted

    task: Task = registry.task.get(config.task.name)(config.task)
    with deterministic(config.seed, config.train.threads):
        model, random = build(task, config.cell, config.engine), np.random.default_rng(config.seed)
        fit(task, model, config.train, random, watch, resume, partial(DistributedTraining, group=group))


def main(text: str) -> int:
    """Do what a request says, as the rank that the environment names; return the exit code."""
    request, rank = json.loads(text), int(os.environ["RANK"])
    meeting = Meeting(request["meeting"])
    try:
        _do(request, meeting, rank)
    except Interrupted:
        return 0
    except BaseException as error:
        said = _said(error, rank)
        meeting.tell_failure(said)
        print(said["details"] or said["reason"], file=sys.stderr)
        return 1
    return 0


def _do(request: dict[str, Any], meeting: Meeting, rank: int) -> None:
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, meeting.interface)
    spec, store = Spec(check_run(request["config"]), request["id"]), Store(Path(request["outputs"]))
    device = spec.config.train.device
    check_device(spec.config.train)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with joined(ranks_store(meeting.store), rank, int(os.environ["WORLD_SIZE"]), device) as group:

        def stop(*signal: object) -> None:
            group.wishes["stop"] = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        threading.Thread(target=_listen, args=(meeting, stop), daemon=True).start()
        (lead if group.first else follow)(spec, store, group, Terms.read(request["terms"]))


def _listen(meeting: Meeting, stop: Any) -> None:
    """Wait for the word that all should stop; whoever opened the store may be gone, the run goes on."""
    try:
        store = meeting.connect()
        while not store.check([STOP]):
            time.sleep(LOOK_EVERY)
    except RuntimeError:
        return
    stop()


def _said(error: BaseException, rank: int) -> dict[str, Any]:
    known = isinstance(error, LstmlabError | Elsewhere | Left)
    return {
        "rank": rank,
        "kind": type(error).__name__ if isinstance(error, Elsewhere | StorageError | Left) else "",
        "lost": isinstance(error, RuntimeError) and "gloo" in str(error).lower(),
        "reason": str(error) if known else f"{type(error).__name__}: {error}",
        "details": "" if known else "".join(traceback.format_exception(error)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

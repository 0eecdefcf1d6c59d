"""Trainings on several ranks, without the launcher: ``python ranks.py RANK SIZE FOLDER`` is one of them.

The ranks meet in a file and talk on loopback; rank 0 writes what came out to ``FOLDER/SIZE.json``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
STEPS = ["train.steps=8", "train.evaluate_every=4"]
SMALL = ["task.hidden_size=8", *STEPS]
MUSIC = ["task=music", "task.pieces=24", "task.window=8", "train.batch_size=6", *SMALL]
CASES = {
    "generated": ["task=adding", "task.length=12", "task.samples=20", "task.epoch=64", *SMALL],
    # 20 sequences in batches of 7, 7 and 6; of 19, the last batch has 5 rows for 2 or 3 ranks
    "uneven": ["task=adding", "task.length=12", "task.samples=20", "task.epoch=19", "train.batch_size=7", *SMALL],
    # batches of one row: all ranks but the first have none
    "too few": ["task=adding", "task.length=12", "task.samples=20", "task.epoch=19", "train.batch_size=1", *SMALL],
    "some steps count": ["task=copying", *SMALL],
    "a state that goes on": ["task=language_model", "task.window=8", "train.batch_size=5", *SMALL],
    "lengths and a state": [*MUSIC, "task.dropout=0"],
    "words": ["task=ner", "train.batch_size=6", "task.dropout=0", *SMALL],
    "classes of unequal weight": ["task=sentiment", "task.class_weights=balanced", "task.dropout=0", *SMALL],
}
DROPOUT = [*MUSIC, "cell.zoneout=0.2", "cell.num_layers=2", "cell.dropout=0.5"]


def train(overrides: Sequence[str], make: Any = None, double: bool = False, resume_at: int = 0) -> dict[str, Any]:
    """Return the history and the weights of a training; ``resume_at`` a step it is begun anew from a snapshot."""
    import numpy as np

    from lstmlab import registry
    from lstmlab.config import check, compose
    from lstmlab.studies.budget import build
    from lstmlab.training import deterministic, fit
    from lstmlab.training.snapshot import Snapshot

    run = check(compose(overrides)).run
    kept: list[Any] = []

    def watch(training: Any) -> None:
        if resume_at and training.progress.step == resume_at and not kept:
            taken = training.snapshot()
            tensors = training.group.gathered(taken.tensors)[0]  # what rank 0 writes is all that the others get
            kept.append((Snapshot(tensors, json.loads(json.dumps(taken.facts))), training.history))
            raise KeyboardInterrupt

    for given in [None, *([kept] if resume_at else [])]:
        task = registry.task.get(run.task.name)(run.task)
        with deterministic(run.seed, 1):
            model = build(task, run.cell, run.engine)
            model = model.double() if double else model
            try:
                done = fit(task, model, run.train, np.random.default_rng(run.seed), watch, given and given[0], make)
            except KeyboardInterrupt:
                continue
    weights = [float(p.detach().double().sum()) for p in model.parameters()]
    states = [name for taken, _ in kept for name in taken.tensors if name.startswith("rank1.state.")]
    return {"history": done.history, "weights": weights, "states": states}


def start(size: int, folder: Path) -> dict[str, Any]:
    """Start all ranks, and return what rank 0 found."""
    environment = os.environ | {"GLOO_SOCKET_IFNAME": LOOPBACK, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    command = [sys.executable, __file__]
    ranks = [subprocess.Popen([*command, str(rank), str(size), str(folder)], env=environment) for rank in range(size)]
    try:
        codes = [rank.wait(120) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert codes == [0] * size
    return json.loads((folder / f"{size}.json").read_text())


def main(rank: int, size: int, folder: Path) -> None:
    from torch.distributed import FileStore

    from lstmlab.training.distributed import DistributedTraining
    from lstmlab.training.group import joined

    with joined(FileStore(str(folder / f"{size}.store"), size), rank, size) as group:
        make = partial(DistributedTraining, group=group)
        found = {}
        if size == 2:
            found = {name: train(overrides, make) for name, overrides in CASES.items()}
            found["double"] = train(CASES["a state that goes on"], make, double=True)
        else:
            found = {"uneven": train(CASES["uneven"], make)}
            found["whole"] = train(DROPOUT, make)
            found |= {f"resumed at {step}": train(DROPOUT, make, resume_at=step) for step in (1, 5)}
    if rank == 0:
        (folder / f"{size}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))

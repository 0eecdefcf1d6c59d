"""One run on several devices and nodes: the numbers of one device, and clear refusals."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from conftest import TINY
from processes import needs_proc, wait_for
from shared_runs import RUN, checkpoint, children, same, starting

import lstmlab
from lstmlab.errors import LstmlabError
from lstmlab.studies.drive import fitting
from lstmlab.studies.execute import execute_run
from lstmlab.studies.identity import specify
from lstmlab.studies.search.pace import Left, Pace
from lstmlab.studies.store import Store
from lstmlab.studies.terms import Terms

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> lstmlab.Run:
    return lstmlab.run([*RUN, "train.devices=2", f"outputs={tmp_path_factory.mktemp('two')}"])


def test_two_devices_come_to_what_one_comes_to(two_devices: lstmlab.Run, tmp_path: Path) -> None:
    alone = lstmlab.run([*RUN, f"outputs={tmp_path}"])
    assert alone.result["id"] != two_devices.result["id"], "their numbers are rounded differently"
    a, b = (run.metrics.set_index(["step", "split"])[["loss", "MSE"]].to_numpy() for run in (alone, two_devices))
    np.testing.assert_allclose(a, b, rtol=1e-5)  # 1.4e-6 was measured
    np.testing.assert_allclose(alone.result["value"], two_devices.result["value"], rtol=1e-5)


@needs_proc
@pytest.mark.real
def test_two_nodes_come_to_what_one_comes_to(two_devices: lstmlab.Run, tmp_path: Path) -> None:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port = asking.getsockname()[1]
    seen: set[str] = set()

    def listened() -> bool:
        for process in [p for node in nodes for p in (node, *children(node))]:
            with contextlib.suppress(psutil.Error):
                seen.update(c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN)
        return checkpoint(tmp_path)

    with starting() as start:
        here = ["train.devices=1", "train.nodes=2", f"rendezvous=127.0.0.1:{port}"]
        nodes = [start("run", tmp_path, *here) for _ in range(2)]
        wait_for(listened)
        told = [node.communicate(timeout=100) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], told
    assert seen == {"127.0.0.1"}, "nothing listens beyond the address where the nodes meet"
    (result,) = (json.loads(f.read_text()) for f in tmp_path.glob("runs/*/result.json"))
    assert result["scores"] == two_devices.result["scores"], "a rank is a rank, on whichever node"


@needs_proc
@pytest.mark.real
def test_a_run_that_is_behind_is_left_by_all_ranks_and_can_be_gone_on_with(
    two_devices: lstmlab.Run, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    spec = specify(two_devices.config)
    unreachable = Pace("MSE", "lower", [(100, 0.0)])
    for _ in range(2):  # the second time it is behind already
        with pytest.raises(Left) as left:
            execute_run(spec, store, Terms(pace=unreachable))
        assert left.value.step == 100
        assert checkpoint(tmp_path)
    assert execute_run(spec, store)["status"] == "done"
    assert same(store.folder(spec), two_devices.folder)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.nodes=2"], r"train\.nodes=2: the nodes must know where to meet.*rendezvous=host:port"),
        (["train.nodes=2", "rendezvous=here"], "rendezvous='here': expected host:port"),
        (["train.devices=2", "cell=batchnorm"], "'batchnorm' takes statistics over whole batches"),
        pytest.param(
            ["train.device=cuda"], "train.device=cuda train.devices=1: PyTorch finds 0 GPUs here", marks=NO_GPU
        ),
        (["train.devices=0"], "train.devices=0: expected a whole number at least 1"),
    ],
)
def test_what_cannot_be_done_is_refused_before_work_starts(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=message):
        lstmlab.run([*RUN, *overrides, f"outputs={tmp_path}"])
    assert not list(tmp_path.glob("runs/*"))


def test_a_study_refuses_runs_on_several_nodes(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=r"a study's runs have one node each"):
        lstmlab.study("variants", [*TINY, "train.nodes=2", "rendezvous=127.0.0.1:1", f"outputs={tmp_path}"])


def test_a_study_begins_as_many_runs_as_have_cores_for_their_threads_and_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lstmlab.studies.drive.cores", lambda: 12)
    for overrides, count in {("train.devices=2",): 6, ("train.devices=2", "train.threads=3"): 2}.items():
        specs = lstmlab.study("variants", [*TINY, *overrides, f"outputs={tmp_path}"]).specs
        assert fitting(specs) == count

"""launch=dask: the same runs into the same store, on clusters that are bound to the loopback interface."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dask
import dask_jobqueue  # noqa: F401  it adds to Dask's configuration
import psutil
import pytest
from conftest import ROOT, TINY
from dask_cluster import DaskCluster, dask_cluster
from processes import gone, wait_for

import lstmlab
from lstmlab.errors import LstmlabError
from lstmlab.schema import DaskConfig
from lstmlab.studies.launch.dask import worker as dask_worker
from lstmlab.studies.launch.dask.cluster import connected, job_cluster
from lstmlab.studies.launch.dask.crew import Crew
from lstmlab.studies.launch.events import Job, Options

STUDY = [*TINY, "cell=vanilla,peephole", "seed=0,1"]
RUNS = "lstmlab.studies.launch.worker"  # the module of a process that does runs
LOOPBACK = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}


def files(outputs: Path) -> dict[str, tuple[bytes, str]]:
    """Weights and value of each run."""
    study = lstmlab.study("variants", [*STUDY, f"outputs={outputs}"])
    values = dict(zip(study.table()["id"], study.table()["value"].map(repr), strict=True))
    return {
        spec.name: ((study.store.folder(spec) / "weights.safetensors").read_bytes(), values[spec.id])
        for spec in study.specs
    }


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, str]]:
    outputs = tmp_path_factory.mktemp("serial")
    lstmlab.study("variants", [*STUDY, "launch=serial", f"outputs={outputs}"]).run()
    return files(outputs)


@pytest.fixture(scope="module")
def other_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a worker finds an lstmlab that trains in another way."""
    folder = tmp_path_factory.mktemp("other")
    for part in ("lstmlab", "conf"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "plugins").symlink_to(ROOT / "plugins")
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "lstmlab" / "training" / "loop.py").open("a") as file:
        file.write("\nWAY = 2\n")
    return folder


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one worker does not see."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory, other_code: Path, hidden: Path) -> Iterator[DaskCluster]:
    """A cluster with a plain worker that has something else for ``hidden``, one that offers GPU: 2, and one that has
    other code.
    """
    hiding = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {hidden} && exec "$@"', "sh"]
    able = subprocess.run([*hiding, "true"], capture_output=True).returncode == 0
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        cluster.worker("--name", "plain", prefix=hiding if able else ())
        cluster.worker("--name", "gpu", "--resources", "GPU=2")
        cluster.worker("--name", "other", PYTHONPATH=str(other_code), cwd=other_code)
        cluster.wait()
        yield cluster


def test_a_cluster_on_this_machine_gives_what_serial_gives(
    tmp_path: Path, serial: dict[str, tuple[bytes, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    lstmlab.study("variants", [*STUDY, "workers=2", "launch=dask", f"outputs={tmp_path}"]).run()
    assert files(tmp_path) == serial
    said = capfd.readouterr().err
    assert "Dask scheduler tcp://127.0.0.1:" in said
    assert "dashboard" in said
    assert not list((tmp_path / "runs").glob(".*"))


def test_a_cluster_on_this_machine_is_bound_to_the_loopback_interface(tmp_path: Path) -> None:
    with connected(DaskConfig("dask"), Options(DaskConfig("dask"), workers=2), threads=1, logs=tmp_path):
        listening = [c.laddr.ip for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN]
    assert set(listening) == {"127.0.0.1"}
    assert len(listening) >= 4, "scheduler, its page, and two workers"


def test_a_running_scheduler_does_the_runs_with_workers_of_the_same_code_only(
    tmp_path: Path, hand: DaskCluster, serial: dict[str, tuple[bytes, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    on = ["workers=3", "launch=dask", f"launch.address={hand.address}"]
    lstmlab.study("variants", [*STUDY, *on, f"outputs={tmp_path}"]).run()
    assert files(tmp_path) == serial
    said = capfd.readouterr().err
    assert said.count("is left out: it would do run ") == 1
    assert "its lstmlab, plugins, torch or data differ" in said
    below = [child for p in hand.processes for child in psutil.Process(p.pid).children(recursive=True)]
    assert [child for child in below if RUNS in child.cmdline()] == [], "processes end with the study"


def test_runs_go_to_workers_that_offer_what_they_ask_for(hand: DaskCluster, tmp_path: Path) -> None:
    config = DaskConfig("dask", address=hand.address, resources={"GPU": 1})
    study = [*STUDY, "cell=peephole", "seed=0", "launch.resources={GPU: 1}", f"launch.address={hand.address}"]
    with connected(config, Options(config), threads=1, logs=tmp_path) as client:
        probe = tmp_path / "probe"
        probe.write_text("study")
        crew = Crew(client, "study", probe, config, threads=1)
        crew.look(dask_worker.enter)
        names = {address: facts["name"] for address, facts in client.scheduler_info()["workers"].items()}
        assert [(names[address], slots) for address, slots in crew.slots.items()] == [("gpu", 1)]
        assert crew.free(Counter(crew.slots)) is None, "one run at a time, since it has one thread"
        client.run(dask_worker.leave, "study")
    lstmlab.study("variants", [*study, "launch=dask", f"outputs={tmp_path}"]).run()
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 1


def test_a_resource_that_nobody_offers_is_said_and_not_waited_for_without_end(
    hand: DaskCluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["launch=dask", f"launch.address={hand.address}", "launch.resources={TPU: 1}", "launch.wait=0.01"]
    expected = r"asks for TPU: 1, and none of 3 workers offers that \(offered: GPU: 2, nothing"
    with pytest.raises(LstmlabError, match=f"no Dask worker can do the runs: .*{expected}"):
        lstmlab.study("variants", [*STUDY, *asked, f"outputs={tmp_path}"]).run()
    assert "waiting for a Dask worker that can do the runs, for at most 0.01 min" in capfd.readouterr().err
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_a_worker_that_sees_another_folder_is_left_out(
    hand: DaskCluster, hidden: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if "unshare" not in hand.processes[1].args:
        pytest.skip("a folder cannot be hidden from a process here (needs root)")
    study = [*STUDY, "cell=peephole", "seed=0", "launch=dask", f"launch.address={hand.address}", "workers=3"]
    done = lstmlab.study("variants", [*study, f"outputs={hidden}"]).run()
    assert list(done.table()["status"]) == ["done"]
    assert f"does not see this machine's {hidden}/runs (No such file or directory)" in capfd.readouterr().err


def test_a_process_is_kept_for_the_next_run_and_ends_when_none_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that was killed says no goodbye."""
    study = lstmlab.study("variants", [*STUDY, "launch=dask", f"outputs={tmp_path}"])
    pool, seen = dask_worker._Pool(), set()
    for idle, spec in zip((60, 0.2), study.specs[:2], strict=True):
        monkeypatch.setattr(dask_worker, "IDLE", idle)
        event = pool.run(Job(spec), study.store, Options(study.settings.launch))
        assert event is not None
        assert event.result is not None
        seen |= {p.pid for p in psutil.Process().children() if RUNS in p.cmdline()}
    (pid,) = seen
    wait_for(lambda: gone(pid), 10)
    assert pool._idle == {}


@pytest.mark.slow
def test_tls_is_that_of_dask_s_own_settings(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    settings = {"distributed.comm.tls.ca-file": str(certificate), "distributed.comm.require-encryption": True}
    for role in ("client", "scheduler", "worker"):
        settings |= {f"distributed.comm.tls.{role}.cert": str(certificate)}
        settings |= {f"distributed.comm.tls.{role}.key": str(key)}
    environment = {"DASK_" + k.upper().replace(".", "__").replace("-", "_"): str(v) for k, v in settings.items()}
    with dask_cluster(tmp_path, workers=1, **environment) as cluster:
        assert cluster.address.startswith("tls://127.0.0.1:")
        config = DaskConfig("dask", address=cluster.address)
        with (
            pytest.raises(LstmlabError, match=r"name certificates in Dask's configuration"),
            connected(config, Options(config), threads=1, logs=tmp_path),
        ):
            pass
        with dask.config.set(settings), connected(config, Options(config), threads=1, logs=tmp_path) as client:
            assert client.submit(sum, [1, 2]).result(timeout=60) == 3


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1, and its key."""
    x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    secret, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(own, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    certificate.write_bytes(builder.sign(secret, hashes.SHA256()).public_bytes(pem))
    key.write_bytes(secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return certificate, key


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("slurm", ["#SBATCH -p long", "#SBATCH --cpus-per-task=3", "#SBATCH --mem=4G", "#SBATCH -t 01:30:00"]),
        ("pbs", ["#PBS -q long", "#PBS -l select=1:ncpus=3:mem=3815MB", "#PBS -l walltime=01:30:00"]),
        ("lsf", ["#BSUB -q long", "#BSUB -n 3", "#BSUB -M 4000", "#BSUB -W 01:30"]),
    ],
)
def test_jobs_of_a_queue_ask_for_what_the_config_says(queue: str, expected: list[str], tmp_path: Path) -> None:
    given = {"queue": "long", "cpus": 3, "memory": 4.0, "minutes": 90, "resources": {"GPU": 1.0}}
    config = DaskConfig("dask", jobqueue=queue, **given)  # type: ignore[arg-type]
    settings = {f"jobqueue.{queue}.scheduler-options": LOOPBACK, "jobqueue.lsf.lsf-units": "mb"}
    with dask.config.set(settings), job_cluster(config, threads=1, logs=tmp_path) as cluster:
        script = cluster.job_script()
    assert [line for line in expected if line not in script.splitlines()] == []
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://127.0.0.1:" in script
    assert "--nthreads 3" in script
    assert "--resources GPU=1" in script
    assert "--nworkers" not in script, "one worker a job"


def test_what_the_config_leaves_open_is_dask_s_own_setting(tmp_path: Path) -> None:
    own = {"cores": 2, "memory": "3GB", "walltime": "00:10:00", "scheduler-options": LOOPBACK, "queue": "short"}
    settings = {f"jobqueue.slurm.{key}": value for key, value in own.items()}
    with (
        dask.config.set(settings),
        job_cluster(DaskConfig("dask", jobqueue="slurm"), threads=1, logs=tmp_path) as cluster,
    ):
        script = cluster.job_script()
    for line in ("-p short", "--cpus-per-task=2", "--mem=3G", "-t 00:10:00"):
        assert f"#SBATCH {line}" in script


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["launch.address=tcp://127.0.0.1:1", "launch.jobqueue=slurm"], "exclude one another"),
        (["launch.address=127.0.0.1:1"], "expected tcp://HOST:PORT or tls://HOST:PORT"),
        (["launch.address=tcp://127.0.0.1:1"], "no Dask scheduler can be reached"),
        (["launch.cpus=2"], "is for jobs: give launch.jobqueue="),
        (["launch.resources={GPU: 0}"], "expected more than 0"),
        (["launch.resources={GPU: some}"], "expected names with numbers"),
        (["launch.jobqueue=slurm", "workers=null"], "say how many jobs to submit"),
        (["launch.jobqueue=slurm"], "launch.cpus and launch.memory"),
        (["launch.jobqueue=sge"], "expected one of slurm, pbs, lsf"),
    ],
)
def test_what_cannot_be_is_refused_before_work_starts(tmp_path: Path, asked: list[str], said: str) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(LstmlabError, match=said):
        lstmlab.study("variants", [*STUDY, "launch=dask", *asked, f"outputs={tmp_path}"]).run()
    assert not list(tmp_path.glob("runs/*"))


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LstmlabError, match=r"pip install 'lstmlab\[cluster\]'"):
        lstmlab.study("variants", [*STUDY, "launch=dask", f"outputs={tmp_path}"]).run()
    assert os.listdir(tmp_path / "runs") == []

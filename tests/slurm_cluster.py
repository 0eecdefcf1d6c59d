"""A Slurm cluster of one node on the loopback interface, for as long as a test needs it.

Nothing outside a temporary folder is read or written, no service manager is needed, and every process is ended by
its id. On Debian: ``apt install slurm-wlm munge``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PATHS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # daemons are not on everybody's path
PATIENCE = 30.0  # seconds for the cluster to be ready, and for its jobs to end
CONF = """\
ClusterName=lstmlab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=tests Nodes={host} Default=YES MaxTime=60 State=UP
"""


def missing() -> str:
    """Return why no cluster can be started here; nothing where it can."""
    absent = [command for command in COMMANDS if not shutil.which(command, path=PATHS)]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root here"


@dataclass
class SlurmCluster:
    """A running cluster. Its commands work where ``environment`` is set."""

    folder: Path
    environment: dict[str, str]

    def call(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        environment = os.environ | self.environment
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout

    def start_now(self, job: str) -> None:
        """Let a job that was requeued start; by itself Slurm waits for two minutes."""
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now")

    def jobs(self, *options: str) -> list[str]:
        """Return the ids of the jobs, and of the elements of arrays, that wait or run."""
        return self.call("squeue", "--noheader", "--array", "--format=%i", *options).split()


@contextmanager
def slurm_cluster(cpus: int = 4) -> Iterator[SlurmCluster]:
    """Start a cluster whose node claims to have ``cpus`` cores; stop it, and all of its jobs, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lstmlab-slurm-"))
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATHS}
    cluster = SlurmCluster(folder, environment)
    try:
        _write(folder, cpus)
        with ExitStack() as daemons:
            munge = ["munged", "--foreground", "--force", "--num-threads=2"]
            for option, name in (("socket", "socket"), ("key-file", "key"), ("log-file", "log"), ("pid-file", "pid")):
                munge.append(f"--{option}={folder}/munge.{name}")
            daemons.enter_context(_daemon([*munge, f"--seed-file={folder}/munge.seed"], cluster))
            _wait(lambda: (folder / "munge.socket").exists(), cluster)
            for command in (["slurmctld", "-D"], ["slurmd", "-D"]):
                daemons.enter_context(_daemon(command, cluster))
            _wait(lambda: "idle" in cluster.call("sinfo", "--noheader", "--format=%T"), cluster)
            try:
                yield cluster
            finally:
                _end_jobs(cluster)
        _end_leftovers(environment["SLURM_CONF"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, cpus: int) -> None:
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        ports = {"controller": one.getsockname()[1], "node": two.getsockname()[1]}
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, cpus=cpus, **ports))


@contextmanager
def _daemon(command: list[str], cluster: SlurmCluster) -> Iterator[None]:
    with (cluster.folder / f"{command[0]}.out").open("wb") as out:
        program = shutil.which(command[0], path=PATHS) or command[0]
        process = subprocess.Popen(
            [program, *command[1:]],
            env=os.environ | cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(condition: Callable[[], bool], cluster: SlurmCluster) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(subprocess.CalledProcessError):  # the controller does not answer yet
            if condition():
                return
        if time.monotonic() > end:
            said = "\n".join(f.read_text(errors="replace")[-2000:] for f in sorted(cluster.folder.glob("*.out")))
            raise RuntimeError(f"Slurm is not ready after {PATIENCE:.0f} s:\n{said}")
        time.sleep(0.1)


def _end_jobs(cluster: SlurmCluster) -> None:
    with contextlib.suppress(subprocess.SubprocessError):
        cluster.call("scancel", "--user=root", "--signal=KILL", "--full")
        cluster.call("scancel", "--user=root")
        end = time.monotonic() + PATIENCE
        while cluster.jobs() and time.monotonic() < end:
            time.sleep(0.2)


def _end_leftovers(conf: str) -> None:
    """End what is left of the jobs: whatever carries this cluster's configuration in its environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("SLURM_CONF") == conf:
                process.kill()


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    """A cluster whose commands work in this process and in those that it starts."""
    if missing():
        pytest.skip(f"no Slurm: {missing()}")
    with pytest.MonkeyPatch.context() as patch, slurm_cluster() as cluster:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster

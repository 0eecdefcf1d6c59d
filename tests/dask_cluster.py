"""A Dask scheduler and workers on the loopback interface, started by hand as their commands would be on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from conftest import ROOT
from processes import wait_for

QUICK = {  # a scheduler that is gone is given up after this time
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",
    "OMP_NUM_THREADS": "1",
}


class DaskCluster:
    """Processes of a cluster, in a folder for their files."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self.folder, self.environment = folder, {**os.environ, **QUICK, **options}
        self.processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        protocol = ("--protocol", "tls") if "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in options else ()
        where = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self._start("scheduler", "--scheduler-file", str(self._file), *where, *protocol)
        wait_for(self._file.exists)
        self.address: str = json.loads(self._file.read_text())["address"]

    def worker(
        self, *options: str, cwd: Path = ROOT, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker that does one run at a time; ``prefix`` is a command that runs it."""
        mine = ("--host", "127.0.0.1", "--local-directory", str(self.folder), "--no-dashboard")
        return self._start(
            "worker", self.address, "--nthreads", "1", *mine, *options, cwd=cwd, prefix=prefix, **environment
        )

    def wait(self) -> None:
        """Wait until all workers have found the scheduler."""
        logs = [self.folder / f"worker-{number}.log" for number in range(1, len(self.processes))]
        wait_for(lambda: all("Registered to" in log.read_text() for log in logs))

    def _start(
        self, what: str, *options: str, cwd: Path = ROOT, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        command = [*prefix, sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
        with (self.folder / f"{what}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=cwd, env=self.environment | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process


@contextmanager
def dask_cluster(folder: Path, workers: int = 0, **options: str) -> Iterator[DaskCluster]:
    """Start a scheduler and workers; end them, and with the workers all that they started, at the end."""
    cluster = DaskCluster(folder, options)
    try:
        for _ in range(workers):
            cluster.worker()
        yield cluster
    finally:
        _end(cluster.processes[1:])  # first, since each looks for its scheduler for a while
        _end(cluster.processes[:1])


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

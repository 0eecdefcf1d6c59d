"""A run whose process has died: what it had finished stays, and what somebody else has is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import TINY

import lstmlab
from lstmlab.studies import claims
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.death import record_death
from lstmlab.studies.store import Store

HOLD = """
import sys
from pathlib import Path
from lstmlab.studies.claims import hold
with hold(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def one(outputs: Path) -> tuple[Spec, Store]:
    study = lstmlab.study("variants", [*TINY, "cell=vanilla", "seed=0", f"outputs={outputs}"])
    return study.specs[0], study.store


def test_a_run_without_result_is_recorded_as_failed(tmp_path: Path) -> None:
    spec, store = one(tmp_path)
    event = record_death(spec, store, "its worker process died: SIGKILL")
    assert event.result == store.result(spec)
    assert (event.result or {})["reason"] == "its worker process died: SIGKILL"


def test_a_process_that_dies_after_its_last_act_has_not_failed(tmp_path: Path) -> None:
    """The result is written before anybody is told of it."""
    spec, store = one(tmp_path)
    finished = store.finish(spec, {"status": "done", "value": 0.5})
    event = record_death(spec, store, "its worker process died: SIGKILL")
    assert event.result == finished == store.result(spec)


def test_a_run_that_another_process_has_is_left_to_it(tmp_path: Path) -> None:
    spec, store = one(tmp_path)
    command = [sys.executable, "-c", HOLD, str(store.folder(spec))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        event = record_death(spec, store, "its worker process died: SIGKILL")
        assert event.elsewhere == claims.holder_name(store.folder(spec))
        assert str(other.pid) in event.elsewhere
        assert os.getpid() != other.pid
        assert event.result is None
        assert store.result(spec) is None
        assert other.stdin is not None
        other.stdin.close()

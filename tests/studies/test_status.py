"""Where runs stand, by their files alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lstmlab.cli import main
from lstmlab.studies import claims
from lstmlab.studies.status import Standing, standings, studies

NAMES = [f"adding-vanilla-s{seed}-0123456789abcdef" for seed in range(7)]


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    runs = [tmp_path / "runs" / name for name in NAMES]
    for run in runs[:6]:
        run.mkdir(parents=True)
    done = {"status": "done", "metric": "MSE", "value": 0.25, "unit": ""}
    (runs[0] / "result.json").write_text(json.dumps(done))
    (runs[1] / "result.json").write_text(json.dumps({"status": "failed", "reason": "it rained"}))
    (runs[2] / "result.json").write_text("{")
    for run, pid in ((runs[3], os.getpid()), (runs[4], 2**22 + 1)):
        mine = claims.Holder("here", claims._machine(), pid, claims._born(os.getpid()), 1, 30, 120, 0.5)
        claims._rewrite(run / "claim-1.json", mine)
    (runs[5] / "checkpoint.safetensors").write_bytes(b"")
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "study.json").write_text(json.dumps({"question": "?", "runs": NAMES}))
    return tmp_path


def test_every_run_stands_somewhere(outputs: Path) -> None:
    assert studies(outputs) == {"variants": NAMES}
    progress = f"25%, loss 0.5 (here, process {os.getpid()})"
    assert list(standings(outputs, NAMES)) == [
        Standing(NAMES[0], "done", "MSE 0.25"),
        Standing(NAMES[1], "failed", "it rained"),
        Standing(NAMES[2], "failed", "result.json is damaged"),
        Standing(NAMES[3], "running", progress),
        Standing(NAMES[4], "stale", progress.replace(str(os.getpid()), str(2**22 + 1))),
        Standing(NAMES[5], "queued", "goes on from a checkpoint"),
        Standing(NAMES[6], "queued", ""),
    ]


@pytest.mark.parametrize(("age", "state"), [(0, "running"), (claims.STALE + 5, "stale")])
def test_a_claim_of_another_machine_is_judged_by_its_last_sign_of_life(outputs: Path, age: float, state: str) -> None:
    path = outputs / "runs" / NAMES[6] / "claim-1.json"
    path.parent.mkdir()
    claims._rewrite(path, claims.Holder("far", "far/1", 1, "1"))
    os.utime(path, (time.time() - age,) * 2)
    assert [s.state for s in standings(outputs, NAMES[6:])] == [state]


def test_the_command_counts_and_lists_what_needs_a_look(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", f"outputs={outputs}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("variants: 1 running, 1 stale, 2 queued, 2 failed, 1 done\n")
    assert f"failed  {NAMES[1]}  it rained" in said
    assert NAMES[0] not in said
    assert main(["status", "-v", f"outputs={outputs}", "variants"]) == 0
    assert f"done    {NAMES[0]}  MSE 0.25" in capsys.readouterr().out
    assert main(["status", f"outputs={outputs}", "varants"]) == 2
    assert "Did you mean 'variants'?" in capsys.readouterr().err
    assert main(["status", f"outputs={outputs / 'nowhere'}"]) == 0
    assert "no study was begun" in capsys.readouterr().out

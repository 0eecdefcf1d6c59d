"""A run that dies goes on from its last checkpoint and ends as an undisturbed one does, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY

from lstmlab.config import check, compose
from lstmlab.studies import execute
from lstmlab.studies.budget import within_budget
from lstmlab.studies.checkpoint import NAME, History, load_checkpoint, save_checkpoint
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.store import Store
from lstmlab.studies.terms import Terms
from lstmlab.training.snapshot import Snapshot

STEPS = 12


class Died(BaseException):
    """What no handler of ours catches, as a kill would not be."""


@pytest.fixture
def spec() -> Spec:
    config = within_budget(check(compose(TINY)).run)
    return specify(replace(config, train=replace(config.train, steps=STEPS, batch_size=16)))


def run_until(spec: Spec, store: Store, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with a checkpoint after each step, and die after step ``last``."""

    def progress(step: int, loss: float) -> None:
        if step == last:
            raise Died

    monkeypatch.setattr(execute, "LOG_EVERY", 0.0)
    with pytest.raises(Died):
        execute.execute_run(spec, store, Terms(0.0), progress)


def same(one: Path, other: Path) -> bool:
    results = [json.loads((f / "result.json").read_text()) for f in (one, other)]
    kept = [{k: r[k] for k in ("status", "scores", "steps", "best_step", "parameters")} for r in results]
    files = [
        [(f / n).read_bytes() for n in ("weights.safetensors", "metrics.jsonl", "fitted.json")] for f in (one, other)
    ]
    return kept[0] == kept[1] and files[0] == files[1]


@pytest.mark.parametrize("last", [1, 5, 11])
def test_a_run_that_died_ends_as_an_undisturbed_one(
    tmp_path: Path, spec: Spec, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    execute.execute_run(spec, whole)
    run_until(spec, broken, last, monkeypatch)
    seen: list[int] = []
    execute.execute_run(spec, broken, progress=lambda step, loss: seen.append(step))
    assert seen == list(range(last + 1, STEPS + 1)), "what was done is not done again"
    assert same(whole.folder(spec), broken.folder(spec))
    assert not (broken.folder(spec) / NAME).exists()


@pytest.mark.parametrize("damage", ["truncated", "no rows", "another file"])
def test_a_damaged_checkpoint_is_told_and_the_run_begins_anew(
    tmp_path: Path, spec: Spec, damage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    execute.execute_run(spec, whole)
    run_until(spec, broken, 5, monkeypatch)
    path = broken.folder(spec) / NAME
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "no rows":
        (path.parent / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    else:
        path.write_text("not a checkpoint")
    execute.execute_run(spec, broken)
    assert "is damaged" in (said := capsys.readouterr().err)
    assert "The run begins anew" in said
    assert same(whole.folder(spec), broken.folder(spec))


def test_a_run_that_raised_leaves_no_checkpoint(tmp_path: Path, spec: Spec) -> None:
    wild = replace(spec.config.train, learning_rate=1e30, clip_norm=None, schedule="constant")
    spec = Spec(replace(spec.config, train=wild), spec.id)
    result = execute.execute_run(spec, Store(tmp_path), Terms(0.0))
    assert result["status"] == "failed"
    assert not (Store(tmp_path).folder(spec) / NAME).exists()


def test_a_full_disk_is_told_with_what_to_do(full_disk: Path) -> None:
    history = History(full_disk, [])
    with pytest.raises(StorageError, match=r"metrics\.jsonl cannot be written: No space left.*free some space"):
        history.append([{"step": i} for i in range(10_000)])
    (full_disk / "metrics.jsonl").unlink()
    save_checkpoint(full_disk, Snapshot({"a": torch.ones(3)}, {"rows": 0}))
    with pytest.raises(StorageError, match="No space left"):
        save_checkpoint(full_disk, Snapshot({"a": torch.ones(100_000)}, {"rows": 0}))
    (full_disk / "metrics.jsonl").write_text("")
    taken, rows = load_checkpoint(full_disk)  # type: ignore[misc]
    assert torch.equal(taken.tensors["a"], torch.ones(3))
    assert rows == []

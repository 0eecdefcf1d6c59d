"""What is written is there whole or not at all, and damage is reported with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file

from lstmlab.config import check, compose
from lstmlab.studies.budget import within_budget
from lstmlab.studies.checkpoint import History
from lstmlab.studies.files import StorageError, write
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.store import Store


@pytest.fixture
def spec() -> Spec:
    return specify(within_budget(check(compose(TINY)).run))


def test_a_run_s_folder_holds_config_metrics_weights_and_result(tmp_path: Path, spec: Spec) -> None:
    store = Store(tmp_path)
    store.begin(spec)
    History(store.folder(spec), []).append([{"step": 1, "loss": 0.5}])
    store.finish(spec, {"status": "done", "value": 1.0}, {"w": torch.arange(3.0)})
    folder = store.folder(spec)
    names = {f.name for f in folder.iterdir()}
    assert names == {"config.yaml", "metrics.jsonl", "weights.safetensors", "fitted.json", "result.json"}
    assert store.result(spec)["value"] == 1.0  # type: ignore[index]
    assert json.loads((folder / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5}
    assert torch.equal(load_file(folder / "weights.safetensors")["w"], torch.arange(3.0))


def test_a_run_that_only_began_is_not_over(tmp_path: Path, spec: Spec) -> None:
    store = Store(tmp_path)
    assert store.result(spec) is None
    store.begin(spec)
    assert store.result(spec) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "damaged"),
        ('{"status": "do', "damaged"),
        ("[]", "damaged"),
        ('{"status": "done"}', "it lacks format, id"),
        ('{"format": 1, "id": "x", "status": "done", "task": "", "cell": "", "seed": 0}', "belongs to run x"),
    ],
)
def test_a_damaged_result_names_the_file_and_what_to_do(tmp_path: Path, spec: Spec, content: str, said: str) -> None:
    store = Store(tmp_path)
    store.finish(spec, {"status": "done"})
    path = store.folder(spec) / "result.json"
    path.write_text(content)
    with pytest.raises(StorageError, match=said) as caught:
        store.result(spec)
    assert str(path) in str(caught.value)
    assert "Delete the folder" in str(caught.value)


def test_a_result_of_a_newer_format_is_refused(tmp_path: Path, spec: Spec) -> None:
    store = Store(tmp_path)
    store.finish(spec, {"status": "done", "format": 99})
    with pytest.raises(StorageError, match="newer lstmlab"):
        store.result(spec)


def test_a_full_disk_leaves_the_old_file_whole_and_no_debris(full_disk: Path) -> None:
    path = full_disk / "result.json"
    write(path, b"old")
    with pytest.raises(StorageError, match=r"No space left.*Finished runs are kept; free some space"):
        write(path, b"x" * 1_000_000)
    assert path.read_bytes() == b"old"
    assert [f.name for f in full_disk.iterdir()] == ["result.json"]


def test_a_folder_that_cannot_be_made_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="choose another folder with outputs=DIR"):
        Store(tmp_path / "file").prepare()

"""A stored run: found by its id, with what it was fitted to, and ready to answer new data."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY
from torch import nn

import lstmlab
from lstmlab import LstmlabError, cli, config
from lstmlab.errors import TrainingError
from lstmlab.studies import claims
from lstmlab.studies.budget import within_budget
from lstmlab.studies.identity import specify
from lstmlab.studies.run import run_settings
from lstmlab.studies.store import Store
from lstmlab.tasks import Task


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    lstmlab.study("variants", [*TINY, "cell=vanilla", "seed=0,1", f"outputs={folder}"]).run()
    return folder


def test_a_run_is_found_by_id_by_folder_and_by_the_beginning_of_either(outputs: Path) -> None:
    for folder in (outputs / "runs").iterdir():
        id = folder.name.rpartition("-")[2]
        for name in (id, id[:8], folder.name, folder.name[:18], str(folder)):
            assert lstmlab.load_run(name, str(outputs)).folder == folder


@pytest.mark.parametrize(
    ("name", "said"), [("adding", "2 runs begin with it"), ("nope", "no such run"), ("", "no such run")]
)
def test_a_name_that_means_no_run_or_several_is_refused(outputs: Path, name: str, said: str) -> None:
    with pytest.raises(LstmlabError, match=said):
        lstmlab.load_run(name, str(outputs))


def test_what_a_task_was_fitted_to_comes_from_the_run_and_not_from_data(outputs: Path) -> None:
    run = lstmlab.load_run("adding-vanilla-s0", str(outputs))
    (run.folder / "fitted.json").write_text(json.dumps({"scale": 3.0}))
    assert run.task.fitted == {"scale": 3.0}


def test_new_data_are_answered_in_python_and_on_the_command_line(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(self: Task, model: nn.Module, source: Path) -> pd.DataFrame:
        assert not model.training
        return pd.DataFrame({"answer": [float(x) for x in source.read_text().split()]})

    run = lstmlab.load_run("adding-vanilla-s1", str(outputs))
    monkeypatch.setattr(type(run.task), "predict", predict)
    new = tmp_path / "new.txt"
    new.write_text("1 2.5")
    assert list(run.predict(new).answer) == [1.0, 2.5]
    there = ["predict", "adding-vanilla-s1", "--input", str(new), f"outputs={outputs}"]
    assert cli.main([*there, "--output", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text() == "answer\n1.0\n2.5\n"
    capsys.readouterr()
    assert cli.main(there) == 0
    assert capsys.readouterr().out == "answer\n1.0\n2.5\n"


@pytest.mark.parametrize(
    ("input", "said"), [("nowhere.csv", "nowhere.csv is not there"), (__file__, "no predictions on new data")]
)
def test_what_cannot_be_answered_is_refused(
    outputs: Path, input: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", "adding-vanilla-s0", "--input", input, f"outputs={outputs}"]) == 2
    assert said in capsys.readouterr().err


FORMER = next((Path(__file__).parent / "former").iterdir())  # as lstmlab wrote it in November 2026, before any release
ENGINE = "engine: {name: reference, checkpoint_every: null}\n"


@pytest.mark.parametrize(
    ("added", "old", "new", "said"),
    [
        ("", "", "", "does not give engine"),
        (ENGINE, "name: climate", "name: characters", "no task called 'characters'"),
        (ENGINE, "window: 104", "windows: 104", "task.windows=104: there is no such key"),
    ],
)
def test_a_run_of_a_former_version_is_read_as_far_as_it_can_be(
    tmp_path: Path, added: str, old: str, new: str, said: str
) -> None:
    """Its result and history are; where its model cannot be built any more, what can be done is said."""
    folder = shutil.copytree(FORMER, tmp_path / FORMER.name)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(old, new) + added)
    run = lstmlab.load_run(str(folder))
    assert str(run) == "Run(climate, vanilla, seed 1: done, MAE 2.545 ppm)"
    assert len(run.metrics) == 21
    with pytest.raises(LstmlabError, match="train it again, or install what made it: lstmlab 0") as refused:
        _ = run.model
    assert said in str(refused.value)
    assert str(folder) in str(refused.value)


def test_weights_of_another_model_are_refused_with_what_can_be_done(outputs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(lstmlab.load_run("adding-vanilla-s0", str(outputs)).folder, tmp_path / "run")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("hidden_size: 48", "hidden_size: 47"))
    with pytest.raises(LstmlabError, match=r"size mismatch[\s\S]*install what made it"):
        _ = lstmlab.load_run(str(folder)).model


def test_a_patient_run_waits_for_the_process_that_is_at_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = config.check(config.compose([*TINY, f"outputs={tmp_path}"]))
    spec = specify(within_budget(settings.run))
    held = ExitStack()
    assert held.enter_context(claims.hold(Store(tmp_path).folder(spec))) is not None
    with pytest.raises(TrainingError, match="is being trained by"):
        run_settings(settings)
    threading.Timer(0.5, held.close).start()
    assert run_settings(settings, patient=True).result["status"] == "done"
    assert "waiting for it" in capfd.readouterr().err

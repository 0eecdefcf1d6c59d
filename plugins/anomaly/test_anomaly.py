"""What the anomaly task promises: calibration without labels or future, scores as published, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.studies.budget import build, within_budget

SHORT = ["task.hidden_size=4", "task.window=8", "train.steps=4", "train.evaluate_every=2"]


def make(*overrides: str) -> tuple[Any, Any]:
    """Return a task, and an untrained model of it that is the same in every call."""
    config = within_budget(check(compose(["task=anomaly", *SHORT, *overrides])).run)
    task = registry.task.get("anomaly")(config.task)
    torch.manual_seed(0)
    return task, build(task, config.cell, config.engine)


def part(name: str) -> Any:
    """Return a module of the plugin, once the registry has found it."""
    import importlib

    registry.task.get("anomaly")
    return importlib.import_module(f"lstmlab_plugins.anomaly.{name}")


def change(task: Any, edit: Any) -> None:
    """Let the task's dataset give a table after ``edit(frame)``, and the task forget the one before."""
    table = task.dataset.load()
    for frame in table.series.values():
        edit(frame)
    task.dataset.load = lambda: table
    for name in ("sensors", "fitted", "_read"):
        task.__dict__.pop(name, None)


DETECTORS = pytest.mark.parametrize("detector", ["forecaster", "autoencoder"])


@DETECTORS
def test_labels_change_no_score_and_no_threshold(detector: str) -> None:
    task, model = make(f"task.detector={detector}")
    other, same = make(f"task.detector={detector}")
    change(other, lambda frame: frame.__setitem__("anomalous", 1 - frame["anomalous"]))
    task.evaluate(model, "test"), other.evaluate(same, "test")
    assert (other.sensors["sensor"].truth != task.sensors["sensor"].truth).all()
    assert float(model.threshold) == float(same.threshold) > 0
    np.testing.assert_array_equal(
        task.scores(model, "test").series["sensor"], other.scores(same, "test").series["sensor"]
    )
    judgement = part("judgement")
    ours, theirs = (judgement.baselines(t.sensors, "test", t.config) for t in (task, other))
    assert {k: v.threshold for k, v in ours.items()} == {k: v.threshold for k, v in theirs.items()}


@DETECTORS
@pytest.mark.parametrize("memory", [0, 500])
def test_no_score_depends_on_what_comes_later(detector: str, memory: int) -> None:
    overrides = (f"task.detector={detector}", f"task.memory={memory}")
    task, model = make(*overrides)
    other, same = make(*overrides)
    cut = task.sensors["sensor"].normal + 300
    change(other, lambda frame: frame.isetitem(0, frame["sensor"] + 100 * (np.arange(len(frame)) >= cut)))
    task.evaluate(model, "test"), other.evaluate(same, "test")
    judgement = part("judgement")
    pairs = [(task.scores(model, "test"), other.scores(same, "test"))]
    rivals = [judgement.baselines(t.sensors, "test", t.config) for t in (task, other)]
    pairs += [(rivals[0][name], rivals[1][name]) for name in rivals[0]]
    for ours, theirs in pairs:
        a, b = ours.series["sensor"], theirs.series["sensor"]
        assert ours.threshold == theirs.threshold
        np.testing.assert_allclose(a[:300], b[:300], rtol=1e-6)
        assert abs(a[300] - b[300]) > 1


def test_the_test_part_changes_neither_scale_nor_calibration() -> None:
    task, model = make()
    other, same = make()
    normal, before = task.sensors["sensor"].normal, other.sensors["sensor"].values
    change(other, lambda frame: frame.isetitem(0, frame["sensor"] * np.where(np.arange(len(frame)) < normal, 1, 3)))
    assert (other.sensors["sensor"].values[normal:] == 3 * before[normal:]).all()
    assert task.fitted == other.fitted
    task.evaluate(model, "test"), other.evaluate(same, "test")
    for name in ("spread", "reference", "threshold"):
        torch.testing.assert_close(getattr(model, name), getattr(same, name), rtol=1e-6, atol=0)


def test_the_calibration_is_stored_with_the_weights(tmp_path: Path) -> None:
    run = lstmlab.run(["task=anomaly", *SHORT, f"outputs={tmp_path}"])
    stored = float(run.model.threshold)
    assert stored > 0
    run.task.calibrate(run.model)
    assert float(run.model.threshold) == stored


def test_errors_of_the_forecaster_are_those_of_its_forecasts() -> None:
    task, model = make("task.horizon=3")
    read = task.inputs("sensor", task.sensors["sensor"].values[:50], task.sensors["sensor"].times[:50])
    with torch.no_grad():
        forecasts = model(read[None])[0][0]
    errors = model.errors(read, 10)
    assert errors.shape == (40, 3)
    for ahead in (1, 2, 3):
        assert errors[5, ahead - 1] == read[15, 0] - forecasts[15 - ahead, ahead - 1]


def test_targets_are_the_values_that_follow() -> None:
    task, _ = make("task.horizon=3")
    batch = next(task.batches("train", 4))
    assert batch.inputs.shape == (4, 8, 5)
    assert batch.targets.shape == (4, 8, 3)
    torch.testing.assert_close(batch.targets[0, :, 0], torch.cat([batch.inputs[0, 1:, 0], batch.targets[0, -1:, 0]]))
    torch.testing.assert_close(batch.targets[0, 2], batch.inputs[0, 3:6, 0])


def test_missing_values_get_no_score_and_are_counted() -> None:
    task, model = make()
    gone = task.sensors["sensor"].normal + np.arange(20, 40)
    change(task, lambda frame: frame.iloc.__setitem__((gone, 0), np.nan))
    task.evaluate(model, "test")
    scores = task.scores(model, "test")
    assert (scores.series["sensor"][20:40] == 0).all()
    assert scores.series["sensor"][19] != 0
    assert any(note.startswith("20 missing values") for note in task.notes())


def test_without_labels_alarms_are_counted_and_not_judged(tmp_path: Path) -> None:
    run = lstmlab.run(["task=anomaly", "task.labels=null", *SHORT, f"outputs={tmp_path}"])
    assert set(run.result["scores"]["test"]) == {"error", "alarms"} == set(run.task.baselines("test")["z-score"])
    assert list(run.task.exhibits({"vanilla": run.model}, {"vanilla": "k"})) == [
        "Scores over time; labelled ranges are grey"
    ]


def test_exhibits_and_example_are_drawn() -> None:
    from matplotlib.figure import Figure

    task, model = make()
    task.evaluate(model, "test")
    figure = Figure()
    task.draw_example(figure.subplots(), {"vanilla": model}, {"vanilla": "C0"})
    shown = task.exhibits({"vanilla": model}, {"vanilla": "C0"})
    table = shown["What was found in each series"]
    assert (table.ranges == 20).all()
    assert (table.found <= 20).all()
    assert set(shown["NAB score in its three profiles, out of 100"].index) == {"vanilla", *task.baselines("test")}


def own_file(folder: Path, **columns: Any) -> Path:
    times = pd.date_range("2024-03-01", periods=600, freq="h")
    random = np.random.default_rng(0)
    frame = {"when": times, "load": np.sin(np.arange(600) / 4) + random.normal(0, 0.1, 600)} | columns
    pd.DataFrame(frame).to_csv(path := folder / "own.csv", index=False)
    return path


def test_own_file_with_labels_and_predictions_on_new_data(tmp_path: Path) -> None:
    labels = np.zeros(600, int)
    labels[500:505] = 1
    path = own_file(tmp_path, fault=labels)
    own = ["task.dataset=csv", f"task.path={path}", "task.target=load", "task.labels=fault"]
    run = lstmlab.run(["task=anomaly", *SHORT, *own, f"outputs={tmp_path}"])
    assert 0 <= run.result["value"] <= 1
    table = pd.read_csv(path).iloc[:100]
    table.loc[60, "load"] = 50.0
    table.drop(columns="fault").to_csv(tmp_path / "new.csv", index=False)
    path.unlink()  # the stored run has all that it needs
    answer = run.predict(tmp_path / "new.csv")
    assert list(answer.columns) == ["time", "value", "score", "is_anomaly"]
    assert len(answer) == 100
    assert answer.is_anomaly[60]
    assert np.isnan(answer.score[0])
    assert answer.score[:60].max() < answer.score[60]


@pytest.mark.parametrize(
    ("columns", "override", "says"),
    [
        ({"fault": [2] * 600}, "task.labels=fault", "neither 0 nor 1 in 600 of 600"),
        ({"fault": [0] * 600}, "task.labels=faults", "Did you mean 'fault'"),
        ({"load": [1.0] * 590 + [2.0] * 10}, "task.labels=null", "fewer than two different values"),
        ({}, "task.window=500", "smaller task.window"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, columns: Any, override: str, says: str) -> None:
    path = own_file(tmp_path, **columns)
    overrides = ["task.dataset=csv", f"task.path={path}", "task.target=load", "task.labels=null", override]
    with pytest.raises(LstmlabError, match=says):
        make(*overrides)


def test_ranges_are_scored_as_computed_by_hand() -> None:
    metrics = part("metrics")
    truth, alarms = np.zeros(20, bool), np.zeros(20, bool)
    truth[2:6], truth[10:14] = True, True
    alarms[4:8], alarms[16] = True, True  # half of the first range, half of it outside; one that is all wrong
    found = metrics.range_scores([truth], [alarms], existence=0.5)
    assert found["precision"] == pytest.approx((0.5 + 0) / 2)
    assert found["recall"] == pytest.approx((0.5 + 0.5 * 0.5 + 0) / 2)
    assert found["range F1"] == pytest.approx(2 * 0.25 * 0.375 / 0.625)
    assert metrics.range_scores([truth], [truth], 0.3)["range F1"] == 1
    assert metrics.range_scores([truth], [np.ones(20, bool)], 1.0)["precision"] == pytest.approx(8 / 20)


def test_nab_scores_are_those_computed_by_hand() -> None:
    metrics = part("metrics")
    standard = metrics.PROFILES["standard"]
    truth = np.zeros(100, bool)
    truth[40:51] = True  # 11 rows: 1/width is 1/11, and 1/(width - 1) is a tenth

    def score(*alarms: int) -> float:
        flags = np.zeros(100, bool)
        flags[list(alarms)] = True
        return float(metrics.nab_score([truth], [flags], standard))

    def sigma(y: float) -> float:
        return float(2 / (1 + np.exp(5 * y)) - 1)

    assert score() == 0
    assert score(40) == score(40, 45, 50) == 100
    assert score(50) == pytest.approx(100 * (sigma(-1 / 11) / sigma(-1) + 1) / 2)
    assert score(40, 51) == pytest.approx(100 + 50 * 0.11 * sigma(0.1))
    assert score(40, 60) == pytest.approx(100 + 50 * 0.11 * sigma(1.0))
    assert score(40, 99) == score(40, 3) == pytest.approx(100 - 50 * 0.11)
    low_fn = metrics.PROFILES["low FN"]
    assert metrics.nab_score([truth], [np.arange(100) == 3], low_fn) == pytest.approx(100 * -0.11 / 3)


def test_the_best_nab_score_is_the_best_of_all_thresholds() -> None:
    metrics, random = part("metrics"), np.random.default_rng(2)
    truth, scores = [np.zeros(90, bool), np.zeros(70, bool)], [random.random(90).round(2), random.random(70).round(2)]
    truth[0][20:32], truth[0][60:72], truth[1][40:50] = True, True, True
    scores[0][22], scores[1][44] = 3, 2
    for profile in metrics.PROFILES.values():
        all_of_them = [
            metrics.nab_score(truth, [s >= t for s in scores], profile) for t in np.unique(np.concatenate(scores))
        ]
        best, level = metrics.best_nab_score(truth, scores, profile)
        assert (
            best == pytest.approx(max(all_of_them)) == metrics.nab_score(truth, [s >= level for s in scores], profile)
        )


def test_the_threshold_follows_the_gaussian_tail_or_the_heavier_one_of_the_data() -> None:
    likelihood = part("likelihood")
    random = np.random.default_rng(0)
    assert likelihood.threshold(likelihood.log_tail(random.normal(size=1000)), 1e-5) == pytest.approx(5)
    heavy = likelihood.log_tail(random.standard_t(2, size=1000))
    assert likelihood.threshold(heavy, 1e-5) == heavy.max() > 5
    assert likelihood.threshold(np.arange(1001.0), 0.01) == 990


@pytest.mark.parametrize("memory", [0, 300])
def test_the_score_is_the_gaussian_tail_of_the_recent_mean_error(memory: int) -> None:
    likelihood = part("likelihood")
    random = np.random.default_rng(1)
    reference, errors = random.random(200), random.random(400) + 1
    scores = likelihood.anomaly_likelihood(errors, reference, 5, memory)
    history = np.concatenate([reference, errors])
    means = [history[max(0, t - 4) : t + 1].mean() for t in range(len(history))]
    t = 450
    past = means[:200] if memory == 0 else means[t - 300 : t]
    z = (means[t] - np.mean(past)) / np.std(past)
    from statistics import NormalDist

    expected = -np.log10(NormalDist().cdf(-z)) if z < 8 else scores[t - 200]
    assert scores[t - 200] == pytest.approx(expected)
    assert z < 8 or scores[t - 200] > 15


@pytest.mark.real
def test_windowed_gaussian_gets_its_published_nab_scores() -> None:
    """NAB's results/windowedGaussian/windowedGaussian_standard_scores.csv; the threshold there is 1 - 1e-12."""
    published = {
        "ambient_temperature_system_failure": -2.0,
        "cpu_utilization_asg_misconfiguration": -1.11,
        "ec2_request_latency_system_failure": 2.02150685678,
        "machine_temperature_system_failure": -4.0,
        "nyc_taxi": -5.0,
        "rogue_agent_key_hold": -2.44,
        "rogue_agent_key_updown": -1.3964908955,
    }
    task, _ = make("task=anomaly_nab")
    likelihood, metrics = part("likelihood"), part("metrics")
    for name, sensor in task.sensors.items():
        scores = likelihood.log_tail(likelihood.windowed_gaussian(sensor.values)[1])[sensor.normal :]
        found = metrics.nab_sum(
            metrics.ranges(sensor.truth[sensor.normal :]), scores > 12, metrics.PROFILES["standard"]
        )
        assert found == pytest.approx(published.pop(name), abs=1e-9)
    assert not published


@pytest.mark.real
def test_forecasters_find_more_than_any_baseline_on_the_generated_sensor() -> None:
    check_against_baselines("anomaly")


@pytest.mark.real
def test_forecasters_find_more_than_any_baseline_on_nab() -> None:
    check_against_baselines("anomaly_nab")


def check_against_baselines(task: str) -> None:
    """Compare the mean of three seeds of each cell with the best baseline; single seeds may lie below it."""
    study = lstmlab.study("variants", [f"task={task}", "seed=0,1,2"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    (baselines,) = study.baselines.values()
    assert table.groupby("cell").value.mean().min() > max(scores["range F1"] for scores in baselines.values())

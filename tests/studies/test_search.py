"""A search: the same trials for everybody who does it, judged on validation alone, and none done twice."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY

import lstmlab
from lstmlab.errors import LstmlabError, TrainingError
from lstmlab.studies.files import StorageError
from lstmlab.studies.search.propose import propose

RATE = "train.learning_rate=tag(log, interval(0.00001, 0.1))"
STUDY = [
    *[o for o in TINY if not o.startswith(("train.steps", "workers"))],
    "train.steps=12",
    "train.learning_rate=0.001",  # not a good one
    "cell=vanilla,coupled",
    "seed=0,1",
    "launch=serial",
]
# TPE draws the last two.
TRIALS = ["study.trials=10", "study.batch=4", "study.prune_after=2", "study.prune_warmup=0.25"]


def space(*axes: str) -> str:
    return f"study.space={json.dumps(list(axes))}"


SEARCH = [*STUDY, *TRIALS, space(RATE)]


def trials_of(outputs: Path) -> bytes:
    return (outputs / "tuned" / "search.csv").read_bytes()


def ended(outputs: Path) -> dict[str, int]:
    return {f.parent.name: f.stat().st_mtime_ns for f in outputs.glob("runs/*/result.json")}


def metrics(study: lstmlab.Study) -> list[float]:
    return list(study.table().value)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a search, done one run after the other."""
    outputs = tmp_path_factory.mktemp("searched")
    lstmlab.study("tuned", [*SEARCH, f"outputs={outputs}"]).run()
    return outputs


@pytest.fixture
def copied(searched: Path, tmp_path: Path) -> Path:
    """The runs of that search, and nothing else."""
    shutil.copytree(searched / "runs", tmp_path / "runs")
    return tmp_path


def test_every_cell_gets_as_many_trials_and_is_compared_at_its_best(searched: Path) -> None:
    study = lstmlab.study("tuned", [*SEARCH, f"outputs={searched}"])
    assert study.search is not None
    trials, table = study.search.table(), study.table()
    assert list(trials.groupby("cell").size()) == [10, 10]
    assert set(zip(table.cell, table.seed, strict=True)) == {(c, s) for c in ("vanilla", "coupled") for s in (0, 1)}
    assert list(table.status) == ["done"] * 4
    for cell, own in trials.groupby("cell"):
        complete = own[own.state == "complete"]
        best = complete.loc[complete.value.idxmin()]
        assert list(own[own.chosen].trial) == [best.trial]
        assert set(table[table.cell == cell]["train.learning_rate"]) == {best["train.learning_rate"]}
        assert set(table[table.cell == cell].trials) == {10}
        configs = [s.config for s in study.specs if s.config.cell.name == cell]
        assert {c.train.learning_rate for c in configs} == {best["train.learning_rate"]}
    written = pd.read_csv(searched / "tuned" / "search.csv", keep_default_na=False)
    assert list(written.run) == list(trials.run)
    first = trials[trials.trial == 0]
    assert set(first["train.learning_rate"]) == {0.001}, "the first trial has the settings that the task has anyway"
    random = trials[(trials.trial > 0) & (trials.trial < 8)].groupby("trial")["train.learning_rate"]
    assert set(random.nunique()) == {1}, "the luck of the draw is the same for all cells"


def test_pruned_trials_are_those_behind_the_median_of_earlier_rounds(searched: Path) -> None:
    trials = pd.read_csv(searched / "tuned" / "search.csv")
    seen = {run: validation(searched, run) for run in trials.run}
    assert {"complete", "pruned"} == set(trials.state)
    for _, own in trials.groupby("cell"):
        for t in own.to_dict("records"):
            earlier = [seen[o["run"]] for o in own.to_dict("records") if o["trial"] < t["trial"] // 4 * 4]
            earlier = [values for values in earlier if 12 in values]  # complete ones
            behind = [
                step
                for step in seen[t["run"]]
                if len(earlier) >= 2
                and 3 <= step < 12
                and min(v for s, v in seen[t["run"]].items() if s <= step) > statistics.median(v[step] for v in earlier)
            ]
            assert t["state"] == ("pruned" if behind else "complete")
            assert t["step"] == (behind[0] if behind else 12)
            assert (searched / "runs" / t["run"] / "result.json").exists() is not bool(behind)
    assert "pruned" in set(trials[trials["train.learning_rate"] < 1e-4].state)


def validation(outputs: Path, run: str) -> dict[int, float]:
    rows = map(json.loads, (outputs / "runs" / run / "metrics.jsonl").read_text().splitlines())
    return {row["step"]: row["MSE"] for row in rows if row["split"] == "validation"}


def test_a_pruned_run_is_trained_to_its_end_when_somebody_needs_it(copied: Path, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    trials = pd.read_csv(lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run().folder / "search.csv")
    pruned = trials[trials.state == "pruned"].iloc[0]
    run = [o for o in STUDY if not o.startswith(("cell=", "seed=", "launch="))]
    run += [f"cell={pruned.cell}", "seed=1000", f"train.learning_rate={pruned['train.learning_rate']}"]
    gone_on = lstmlab.run([*run, f"outputs={copied}"])
    assert gone_on.folder.name == pruned.run
    undisturbed = lstmlab.run([*run, f"outputs={tmp_path_factory.mktemp('anew')}"])
    assert gone_on.result["scores"] == undisturbed.result["scores"]
    before = trials_of(copied)
    shutil.rmtree(copied / "tuned")
    lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run()
    assert trials_of(copied) == before, "it counts as pruned all the same"


def test_a_trial_is_asked_for_by_what_earlier_rounds_have_shown(searched: Path) -> None:
    search = lstmlab.study("tuned", [*SEARCH, f"outputs={searched}"]).search
    assert search is not None
    pair = search.pairs[0]
    *earlier, eighth, ninth = search.trials_of(pair)
    bad, good = replace(eighth, state="failed", value=None), replace(eighth, state="complete", value=0.0)
    assert propose(pair, [*earlier, bad], 9) == propose(pair, [*earlier, good], 9) == ninth.settings
    learnt = [replace(t, state="complete", value=-t.settings["train.learning_rate"]) for t in earlier]  # type: ignore[operator]
    assert propose(pair, [*learnt, eighth], 9) != ninth.settings
    assert propose(pair, learnt[:7], 7) == earlier[7].settings, "the first ones are random"
    random = lstmlab.study("tuned", [*SEARCH, "study.search=random", f"outputs={searched}"]).search
    assert random is not None
    assert propose(random.pairs[0], [*learnt, eighth], 9) == propose(random.pairs[0], [*earlier, eighth], 9)


@pytest.mark.slow
def test_two_workers_do_the_same_trials(searched: Path, tmp_path: Path) -> None:
    options = [*SEARCH, "launch=processes", "workers=2", f"outputs={tmp_path}"]
    done = lstmlab.study("tuned", options).run()
    assert trials_of(tmp_path) == trials_of(searched)
    assert metrics(done) == metrics(lstmlab.study("tuned", [*SEARCH, f"outputs={searched}"]))


@pytest.mark.parametrize(
    "interrupted",
    [
        pytest.param("while trials are asked for", marks=pytest.mark.slow),
        "while a round runs",
        pytest.param("between two rounds", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_search_goes_on_to_the_same_end(searched: Path, tmp_path: Path, interrupted: str) -> None:
    study = lstmlab.study("tuned", [*SEARCH, f"outputs={tmp_path}"])
    search, rounds = study.search, iter(range(3))
    assert search is not None
    if interrupted == "while trials are asked for":
        ask, asks = search.storage.ask, iter(range(14))

        def third(*given: object) -> None:
            if next(asks) == 10:
                raise KeyboardInterrupt
            ask(*given)  # type: ignore[arg-type]

        search.storage.ask = third  # type: ignore[method-assign]
    elif interrupted == "while a round runs":
        asked = search._ask()
        search._train(asked[:3])
        search._tell(asked[:2])
    else:

        def second(runs: list[str]) -> None:
            if next(rounds) == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            search.run(second)
    if interrupted == "while trials are asked for":
        with pytest.raises(KeyboardInterrupt):
            study.run()
    before = ended(tmp_path)
    again = lstmlab.study("tuned", [*SEARCH, f"outputs={tmp_path}"])
    with pytest.raises(LstmlabError, match=r"its search for settings lacks \d+ of 20 trials"):
        again.table()
    again.run()
    assert trials_of(tmp_path) == trials_of(searched)
    assert {name: time for name, time in ended(tmp_path).items() if name in before} == before


@pytest.mark.slow
def test_two_drivers_share_a_search(searched: Path, tmp_path: Path) -> None:
    options = [*SEARCH, "launch=processes", "workers=1", f"outputs={tmp_path}"]
    studies = [lstmlab.study("tuned", options) for _ in range(2)]
    drivers = [threading.Thread(target=study.run) for study in studies]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(timeout=120)
    assert trials_of(tmp_path) == trials_of(searched)
    assert set(ended(tmp_path)) == set(ended(searched))
    assert metrics(studies[0]) == metrics(studies[1])
    assert not list(tmp_path.glob("**/claim-*"))


def test_validation_chooses_and_not_the_test_split(copied: Path, searched: Path) -> None:
    """The same search over runs whose test scores are turned round chooses the same, and trains nothing."""
    for file in copied.glob("runs/*-s1000-*/result.json"):
        result = json.loads(file.read_text())
        result["scores"]["test"]["MSE"] = result["value"] = -result["scores"]["validation"]["MSE"]
        file.write_text(json.dumps(result))
    before = ended(copied)
    study = lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run()
    assert trials_of(copied) == trials_of(searched)
    assert ended(copied) == before
    (vanilla,) = [t for (_, cell), t in study.chosen.items() if cell == "vanilla"]
    assert study.search is not None
    other = next(t for t in study.search.trials_of(study.search.pairs[0]) if t.state == "complete" and t != vanilla)
    file = copied / "runs" / other.run / "result.json"
    result = json.loads(file.read_text())
    result["scores"]["validation"]["MSE"] = 0.0
    file.write_text(json.dumps(result))
    shutil.rmtree(copied / "tuned")
    assert lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run().chosen["adding", "vanilla"].run == other.run


@pytest.mark.slow
def test_a_database_holds_the_same_trials_and_more_can_be_asked_for_later(searched: Path, copied: Path) -> None:
    options = [*SEARCH, f"outputs={copied}", f"study.storage=sqlite:///{copied / 'trials.db'}"]
    lstmlab.study("tuned", [*options, "study.trials=9"]).run()  # the last round is cut in two
    assert trials_of(copied) != trials_of(searched)
    lstmlab.study("tuned", options).run()
    assert trials_of(copied) == trials_of(searched)
    assert not (copied / "tuned" / "search.journal").exists()
    assert metrics(lstmlab.study("tuned", options)) == metrics(lstmlab.study("tuned", [*SEARCH, f"outputs={searched}"]))


def test_other_settings_are_another_search(copied: Path) -> None:
    done = lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run()
    for changed in ("study.search_seed=7", "train.steps=14", space("train.learning_rate=0.01,0.02")):
        with pytest.raises(LstmlabError, match="lacks 20 of 20 trials"):
            lstmlab.study("tuned", [*SEARCH, changed, f"outputs={copied}"]).table()
    assert metrics(done)


def test_trials_that_fail_are_told_so_and_the_search_goes_on(tmp_path: Path) -> None:
    wild = ["train.clip_norm=null", "train.schedule=constant", "train.evaluate_every=20", "train.steps=20"]
    options = [*STUDY, *wild, "cell=vanilla", "study.search=random", "study.trials=4", f"outputs={tmp_path}"]
    study = lstmlab.study("tuned", [*options, space("train.learning_rate=0.02,1e30")]).run()
    trials = pd.read_csv(tmp_path / "tuned" / "search.csv")
    assert set(trials.state) == {"complete", "failed"}
    failed = trials[trials["train.learning_rate"] > 1]
    assert set(failed.state) == {"failed"}
    assert all("became" in reason for reason in failed.reason)
    assert list(study.table().status) == ["done"] * 2
    with pytest.raises(TrainingError, match=r"all 4 trials of adding/vanilla failed.*became"):
        lstmlab.study("tuned", [*options, space("train.learning_rate=2e30,1e30")]).run()


def test_depth_is_searched_at_equal_parameters(tmp_path: Path) -> None:
    axes = space("cell.num_layers=1,2", "cell.dropout=0,0.2")
    options = [*STUDY, "study.search=random", "study.trials=6", "study.prune_after=null", "task.hidden_size=64"]
    lstmlab.study("tuned", [*options, axes, f"outputs={tmp_path}"]).run()
    trials = pd.read_csv(tmp_path / "tuned" / "search.csv")
    assert set(zip(trials.cell, trials["cell.num_layers"], strict=True)) == {
        (c, n) for c in ("vanilla", "coupled") for n in (1, 2)
    }
    results = [json.loads((tmp_path / "runs" / run / "result.json").read_text()) for run in trials.run]
    sizes = [result["parameters"] for result in results]
    assert max(sizes) < 1.045 * min(sizes)


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ("train.learning_rat=0.1,0.2", "Did you mean 'learning_rate'"),
        ("train.learning_rate=interval(-1, 0.1)", "expected a number above 0"),
        ("train.learning_rate=tag(log, interval(0, 0.1))", "above 0 where it is tagged log"),
        ("train.learning_rate=tag(lgo, interval(0.1, 1))", "the only tag known here is log, not lgo"),
        ("train.learning_rate=interval(0.1, 0.01)", "LOW below HIGH"),
        ("train.learning_rate=0.1", "expected several different values"),
        ("train.batch_size=16,many", "expected a whole number"),
        ("train.batch_size=interval(1.5, 8)", "is a whole number"),
        ("train.schedule=interval(0, 1)", "is not a number: list its values"),
        ("task.length=10,20", "a search varies settings of cell and train"),
        ("cell.hidden_size=10,20", "the same number of parameters"),
        ("cell=gru,vanilla", "a search varies settings of cell and train"),
        ("cell.proj_size=0,8", "proj_size cannot be used with GRU"),
        ("cell.num_layers=1,6", "no number of units costs within 2%"),
        ("seed=1,2", "a search varies settings of cell and train"),
    ],
)
def test_a_space_that_no_run_can_have_is_refused_before_anything_starts(tmp_path: Path, axis: str, said: str) -> None:
    with pytest.raises(LstmlabError, match=said):
        lstmlab.study("tuned", [*STUDY, "cell=gru", space(axis), f"outputs={tmp_path}"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("study.space=[]", "study.space is empty"),
        ("study.search=tep", "Did you mean 'tpe'"),
        ("study.search_seed=1", "is one of study.seeds"),
        ("study.trials=0", "at least 1"),
        ("study.storage=trials.db", "expected the URL of a database"),
    ],
)
def test_wrong_searches_are_refused(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(LstmlabError, match=said):
        lstmlab.study("tuned", [*SEARCH, override, f"outputs={tmp_path}"])


def test_without_optuna_a_search_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(LstmlabError, match=r"pip install 'lstmlab\[search\]'"):
        lstmlab.study("tuned", [*SEARCH, f"outputs={tmp_path}"])


def test_a_damaged_journal_is_reported_with_what_to_do(searched: Path, copied: Path) -> None:
    shutil.copytree(searched / "tuned", copied / "tuned")
    journal = copied / "tuned" / "search.journal"
    journal.write_bytes(journal.read_bytes()[:2000] + b"\n{")
    with pytest.raises(StorageError, match=r"search.journal is damaged: .* Delete it and repeat the command"):
        lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run()
    journal.unlink()
    before = ended(copied)
    lstmlab.study("tuned", [*SEARCH, f"outputs={copied}"]).run()
    assert trials_of(copied) == trials_of(searched)
    assert ended(copied) == before


def test_a_report_tells_how_settings_were_chosen(searched: Path) -> None:
    report = lstmlab.study("tuned", [*SEARCH, "study.storage=null", f"outputs={searched}"]).report()
    assert "10 trials of a search by tree-structured Parzen estimators" in report.question().data
    assert "nothing was tuned" not in report.question().data
    chosen = report.study.chosen["adding", "coupled"].settings["train.learning_rate"]
    assert f"<td>{chosen}</td>" in report.tables().data
    assert "study.storage" not in report.reproduction().data

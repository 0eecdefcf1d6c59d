"""A run's id changes with whatever decides its numbers, and with nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
from conftest import ROOT, TINY

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.schema import TaskConfig, option
from lstmlab.studies import identity
from lstmlab.studies.budget import within_budget
from lstmlab.studies.identity import specify
from lstmlab.validation import ConfigError, typed


def run_id(*overrides: str) -> str:
    return specify(within_budget(check(compose([*TINY, *overrides])).run)).id


@pytest.mark.parametrize(
    "override",
    ["seed=1", "cell=peephole", "train.steps=5", "task.length=11", "cell.forget_bias=0", "train.batch_size=8"],
)
def test_what_decides_numbers_decides_the_id(override: str) -> None:
    assert run_id(override) != run_id()


@pytest.mark.parametrize("override", ["outputs=/elsewhere", "workers=1", "report.confidence=0.9", "study.seeds=[4]"])
def test_where_and_how_a_run_is_done_does_not(override: str) -> None:
    assert run_id(override) == run_id()


def test_a_size_from_the_budget_is_the_same_run_as_that_size_asked_for() -> None:
    size = within_budget(check(compose([*TINY, "cell=coupled"])).run).cell.hidden_size
    assert run_id("cell=coupled") == run_id("cell=coupled", f"cell.hidden_size={size}")


def test_other_data_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_id()
    monkeypatch.setattr(registry.dataset.get("adding"), "content", lambda self: b"other")
    monkeypatch.setattr(identity, "_versions", {})
    changed = run_id()
    monkeypatch.undo()
    assert changed != before == run_id()


def test_equal_ids_are_equal_specs() -> None:
    spec = specify(within_budget(check(compose(TINY)).run))
    assert len({spec, replace(spec)}) == 1


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        ("from lstmlab.data import read_table", {"tables.py", "csv_reader.py", "grid.py"}),
        ("from lstmlab.data.tables import read_table", {"tables.py", "csv_reader.py", "grid.py"}),
        ("from lstmlab.data import embedded", {"embedded.py", "_dataset.py"}),
        ("from lstmlab.tasks import Metric", {"task.py", "_dataset.py"}),
        ("from lstmlab.data import Dataset", {"_dataset.py"}),
    ],
)
def test_what_a_plugin_imports_is_reached_whichever_way_it_imports_it(
    tmp_path: Path, line: str, reached: set[str]
) -> None:
    file = tmp_path / "task.py"
    file.write_text(line)
    names = {f.name for f in identity._reached({file})}
    assert reached <= names
    assert ("csv_reader.py" in names) is ("tables.py" in names)


def id_in(folder: Path) -> str:
    code = (
        "from lstmlab.config import check, compose; from lstmlab.studies.budget import within_budget as w;"
        "from lstmlab.studies.identity import specify; print(specify(w(check(compose(['task=adding'])).run)).id)"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_code_that_decides_numbers_counts_and_comments_do_not(tmp_path: Path) -> None:
    for part in ("lstmlab", "conf", "plugins"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = tmp_path / "lstmlab" / "cells" / "vanilla.py"

    def change(old: str, new: str) -> None:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    before = id_in(tmp_path)
    change("LSTM with input, forget and output gate", "Another docstring")
    change("c = f * c + i * g", "c = f * c + i * g  # said otherwise")
    assert id_in(tmp_path) == before
    change("c = f * c + i * g", "c = f * c + i * g + 0 * g")
    assert id_in(tmp_path) != before


def test_a_file_that_a_key_names_counts_by_its_content(tmp_path: Path) -> None:
    @dataclass(kw_only=True)
    class Config(TaskConfig):
        vectors: str | None = option(None, file=True)

    config = check(compose(["task=climate"])).run
    file = tmp_path / "v.txt"

    def id_of(vectors: str | None, text: str = "") -> str:
        file.write_text(text)
        keys = {f.name: getattr(config.task, f.name) for f in fields(TaskConfig)}
        return identity._named_files(Config(**keys, vectors=vectors)).get("vectors", "")

    assert id_of(None) == ""
    assert len({id_of(str(file), "a 1"), id_of(str(file), "a 2")}) == 2
    with pytest.raises(ConfigError, match=r"task\.vectors='nowhere': expected the path of a file or null, which"):
        typed(Config, {"name": "x", "dataset": "y", "hidden_size": 1, "vectors": "nowhere"}, "task")

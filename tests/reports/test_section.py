"""A section of a report: all that concerns one task, whatever the task itself brings along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from conftest import ROOT, TINY
from IPython.display import HTML, SVG, Markdown
from matplotlib.figure import Figure
from torch import nn

import lstmlab
from lstmlab.reports.notebook import execute
from lstmlab.reports.section import section
from lstmlab.tasks import Task


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*TINY, "cell=vanilla,peephole", "seed=0,1", f"outputs={tmp_path_factory.mktemp('section')}"]


@pytest.fixture
def study(overrides: list[str]) -> lstmlab.Study:
    return lstmlab.study("applications", overrides).run()


def test_a_section_says_verdict_table_figures_and_data_in_order(study: lstmlab.Study) -> None:
    head, table, overview, example, data = section(study, "adding")
    assert head.data.startswith("## adding\n\nAdd the two marked numbers")
    assert "constant" in head.data
    assert "class='lstmlab'" in table.data
    assert [type(part) for part in (head, table, overview, example, data)] == [Markdown, HTML, SVG, SVG, Markdown]
    assert "licence" in data.data
    assert {f.stem for f in (study.folder / "figures").iterdir()} >= {"adding_overview", "adding_example"}


def test_what_a_task_exhibits_is_shown_with_its_title(study: lstmlab.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": [1]})

    def exhibits(self: Task, models: dict[str, nn.Module], colours: dict[str, Any]) -> dict[str, Any]:
        assert list(models) == list(colours) == ["vanilla", "peephole"]
        return {"A figure": Figure(), "A table": frame}

    monkeypatch.setattr(type(study.tasks["adding"]), "exhibits", exhibits)
    *_, first, figure, second, table, _ = section(study, "adding")
    assert (first.data, second.data) == ("**A figure**", "**A table**")
    assert isinstance(figure, SVG)
    assert "<td>1</td>" in table.data
    assert "<th>0</th>" not in table.data, "numbers of rows say nothing"
    assert (study.folder / "figures" / "adding_exhibit_0.svg").exists()


def test_exhibits_that_fail_are_named_and_cost_nothing_else(
    study: lstmlab.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Task, models: object, colours: object) -> dict[str, Any]:
        raise ValueError("no <b>figure</b> today")

    monkeypatch.setattr(type(study.tasks["adding"]), "exhibits", broken)
    *_, example, note, data = section(study, "adding")
    assert isinstance(example, SVG)
    assert "ValueError: no &lt;b&gt;figure&lt;/b&gt; today" in note.data
    assert "licence" in data.data


def test_a_task_s_own_verdict_replaces_the_usual_sentence(
    study: lstmlab.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdict(self: Task, models: dict[str, Sequence[nn.Module]]) -> str:
        return f"nothing to claim of {', '.join(f'{c} x {len(m)}' for c, m in models.items())}."

    monkeypatch.setattr(type(study.tasks["adding"]), "verdict", verdict)
    said = study.report().verdict().data
    assert "nothing to claim of vanilla x 2, peephole x 2." in said
    assert "constant" not in said


def test_the_notebook_of_applications_renders_a_section_for_each_task(overrides: list[str], tmp_path: Path) -> None:
    execute(ROOT / "notebooks" / "35_applications.ipynb", tmp_path / "out.ipynb", {"overrides": overrides})
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    texts = [o.data.get("text/markdown", "") for o in outputs if "data" in o]
    assert sum(t.startswith("## adding") for t in texts) == 1
    assert sum("image/svg+xml" in o.get("data", {}) for o in outputs) == 2
    assert not [o for o in outputs if o.output_type == "error"]

"""The rendered report: complete, self-contained, and the same figures for the same runs."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY

import lstmlab
from lstmlab import registry
from lstmlab.reports import figures, tables
from lstmlab.reports.style import colours, markers, to_svg

ORDER = ["Verdict", "Results", "Metric per cell", "Learning curves", "Quality against cost"]
ORDER += ["Answers against the truth", "equations", "Data", "How to repeat this"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of all tasks, a few steps each, made by the command line."""
    folder = tmp_path_factory.mktemp("report")
    small = ["train.steps=2", "train.evaluate_every=1", "train.batch_size=8", "seed=0,1", f"outputs={folder}"]
    command = [sys.executable, "-m", "lstmlab", "report", "study=variants", *small]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=300)
    return folder / "variants"


@pytest.fixture(scope="module")
def html(outputs: Path) -> str:
    return (outputs / "report.html").read_text()


def test_all_files_of_a_report_are_there(outputs: Path) -> None:
    for name in ("report.ipynb", "report.html", "results.csv", "results.parquet"):
        assert (outputs / name).stat().st_size > 0
    svgs = {f.stem for f in (outputs / "figures").glob("*.svg")}
    assert svgs == {"metric_per_cell", "learning_curves", "quality_against_cost", "examples"}
    for file in (outputs / "figures").glob("*.svg"):
        ET.parse(file)


def test_the_page_opens_without_network_and_shows_no_code(html: str) -> None:
    links = set(re.findall(r"""(?:src|href|url)\s*=\s*["'](?!#|data:)([^"']+)""", html))
    assert not links
    assert "<script" not in html
    assert "import lstmlab" not in html
    assert "Traceback" not in html


def test_the_page_says_things_in_order(html: str) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)<a", html)
    assert len(headings) == len(ORDER)
    for heading, expected in zip(headings, ORDER, strict=True):
        assert expected in heading


def test_the_page_holds_question_tables_equations_sources_and_command(html: str) -> None:
    text = html.replace("\n", " ")
    assert "Which LSTM variant does better, and at what cost" in text
    assert text.count('<table class="lstmlab"') == 3
    assert text.count("<math") == 3
    assert "<mi>&</mi>" not in text, "LaTeX that could not be converted"
    for word in ("seasonal naive with drift", "interpolated trigram", "constant", "PSF-2.0", "public domain"):
        assert word in text
    assert "lstmlab report study=variants train.steps=2" in text
    assert text.count("<svg") == 4


def test_the_table_holds_mean_interval_cost_and_counts(outputs: Path) -> None:
    study = lstmlab.study("variants", again(outputs))
    raw = study.table().query("task == 'climate' and cell == 'peephole'")
    row = tables.summarise(study, "climate").set_index("name").loc["peephole"]
    assert row["mean"] == pytest.approx(raw.value.mean())
    spread = abs(raw.value.diff().iloc[-1]) / 2
    assert row["half"] == pytest.approx(12.7062 * spread, rel=1e-4), "Student's t with one degree of freedom"
    assert (row["n"], row["failed"]) == (2, 0)
    assert row["parameters"] == raw.parameters.iloc[0]
    assert row["MASE"] == pytest.approx(raw.MASE.mean())
    shown = tables.to_html(study, "climate")
    assert f"{row['parameters']:,.0f}" in shown
    assert f"{row['mean']:.2f}" in shown or f"{row['mean']:.3f}" in shown


def test_rows_are_ordered_cells_first_best_first(outputs: Path) -> None:
    frame = tables.summarise(lstmlab.study("variants", again(outputs)), "climate")
    assert list(frame.kind) == ["cell"] * 3 + ["baseline"] * 3
    for _, rows in frame.groupby("kind"):
        assert rows["mean"].is_monotonic_increasing


def test_equal_runs_give_equal_figures(outputs: Path) -> None:
    study = lstmlab.study("variants", again(outputs))
    svg = to_svg(figures.metric_per_cell(study), "metric_per_cell").data
    assert svg == (outputs / "figures" / "metric_per_cell.svg").read_text()


def test_papermill_gives_the_same_table(outputs: Path, tmp_path: Path) -> None:
    """papermill notebooks/30_compare.ipynb out.ipynb -p study variants"""
    command = [sys.executable, "-m", "papermill", "notebooks/30_compare.ipynb", str(tmp_path / "out.ipynb")]
    command += ["-p", "study", "variants", "-p", "overrides", " ".join(again(outputs))]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=120)
    assert table_of(tmp_path / "out.ipynb") == table_of(outputs / "report.ipynb")


def table_of(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    data = [o.get("data", {}) for c in cells if c.cell_type == "code" for o in c.outputs]
    found = [d["text/html"] for d in data if "class='lstmlab'" in d.get("text/html", "")]
    assert found
    return found


def again(outputs: Path) -> list[str]:
    return ["train.steps=2", "train.evaluate_every=1", "train.batch_size=8", "seed=0,1", f"outputs={outputs.parent}"]


def test_a_cell_keeps_its_colour_whatever_stands_beside_it() -> None:
    """More cells than colours share one, and then differ in their marker."""
    colour, marker = colours(registry.cell), markers(registry.cell)
    assert len({(*colour[cell], marker[cell]) for cell in registry.cell}) == len(colour)
    assert len({tuple(c) for c in colours(["vanilla", "peephole", "coupled"]).values()}) == 3
    assert colours(["coupled"])["coupled"] == colour["coupled"]
    assert markers(["coupled"])["coupled"] == marker["coupled"]


def test_failed_runs_are_counted_shown_and_kept_out_of_means(tmp_path: Path) -> None:
    overrides = [*TINY, "cell=vanilla,peephole", "seed=0,1,2", f"outputs={tmp_path}"]
    for cell, seed in itertools.product(("vanilla", "peephole"), range(3)):
        lstmlab.run([*TINY, f"cell={cell}", f"seed={seed}", f"outputs={tmp_path}"])
    study = lstmlab.study("variants", overrides)
    victim = study.runs("adding", "vanilla")[0].folder / "result.json"
    result = json.loads(victim.read_text())
    victim.write_text(json.dumps({**{k: result[k] for k in ("format", "id", "task", "cell", "seed")}, **FAILED}))
    study = lstmlab.study("variants", overrides)
    row = tables.summarise(study, "adding").set_index("name").loc["vanilla"]
    assert (row["n"], row["failed"]) == (2, 1)
    assert np.isfinite(row["mean"])
    report = study.report()
    assert "1 run(s) failed" in report.verdict().data
    shown = report.tables().data
    assert "it went wrong" in shown
    assert "<script>" not in shown, "text from a run is escaped"
    assert isinstance(report.summary("adding"), pd.DataFrame)


def test_a_study_whose_runs_all_failed_still_has_a_report(tmp_path: Path) -> None:
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant", "train.steps=20"]
    study = lstmlab.study("variants", [*TINY, *wild, "cell=vanilla,peephole", "seed=0", f"outputs={tmp_path}"]).run()
    report = study.report()
    assert "No verdict" in report.verdict().data
    assert report.tables().data.count("became") == 2
    for draw in (report.metric_per_cell, report.learning_curves, report.quality_against_cost, report.examples):
        assert "<svg" in draw().data


FAILED = {"status": "failed", "reason": "it went wrong <script>alert(1)</script>", "hidden_size": 48}

"""`lstmlab bench studies`: figures of what was done, from real runs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from lstmlab import cli
from lstmlab.bench import studies
from lstmlab.bench.studies import Pass


def test_overhead_and_rate_are_of_the_time_between_results() -> None:
    results = [{"seconds": 9.0}, {"seconds": 0.5}, {"seconds": 1.0}]
    one = Pass(results, [10.0, 11.0, 12.5], 0)
    assert one.rate == 2 / 2.5
    assert one.overhead("seconds") == pytest.approx(1.25 - 0.75), "what the first run took came before its end"


def test_every_figure_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(studies, "ROUNDS", 1)
    monkeypatch.setattr(studies, "PLANNED", 12)
    monkeypatch.setattr(studies, "STORED", 20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cli.main(["bench", "studies", "--runs", "4"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^planning: +12 runs expanded and hashed in \d", said, re.MULTILINE)
    (overhead,) = re.findall(r"^overhead: +(\d\.\d+) s a run beyond its training steps", said, re.MULTILINE)
    assert 0 < float(overhead) < 5
    assert re.search(r"^throughput: +\d.* \d\.\d\d times", said, re.MULTILINE)
    assert re.search(r"^memory: .* after 4 runs$", said, re.MULTILINE)
    assert re.search(r"^listing: +20 runs in \d", said, re.MULTILINE)
    assert "variants: 20 done" in said
    assert not list(tmp_path.glob("lstmlab-bench-*")), "nothing is left behind"


def test_too_few_runs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "studies", "--runs", "3"])
    assert "--runs must be 12 or more" in capsys.readouterr().err

"""A wheel works in an empty environment outside the repository: conf, notebooks and plugins travel inside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from conftest import ROOT, TINY

# Names in XML that nothing is loaded from, and the program named in the metadata of its figures.
NAMES = {"www.w3.org", "purl.org", "creativecommons.org", "matplotlib.org"}
OF_THE_CALLER = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in OF_THE_CALLER}


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def lstmlab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a new environment that holds the wheel and what it declares, and no more."""
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    call(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    # Python compiles what it imports on first use; compiling everything takes as long as installing it.
    call(*pip, "install", "--quiet", "--no-compile", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return environment / "bin" / "lstmlab"


@pytest.fixture(scope="module")
def work(lstmlab: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was empty before a small study was reported in it, with default outputs."""
    folder = tmp_path_factory.mktemp("work")
    call(lstmlab, "report", "study=variants", *TINY, "seed=0,1", cwd=folder)
    return folder


def test_the_wheel_lists_what_the_clone_lists_and_from_itself(lstmlab: Path, tmp_path: Path) -> None:
    listed = call(lstmlab, "list", cwd=tmp_path)
    names = re.findall(r"^  (\w+)  ", listed, re.MULTILINE)
    assert {"vanilla", "peephole", "coupled", "climate", "language_model", "adding"} <= set(names)
    in_clone = call(Path(sys.executable).with_name("lstmlab"), "list", cwd=tmp_path)
    assert names == re.findall(r"^  (\w+)  ", in_clone, re.MULTILINE)
    origins = re.findall(r"^ +(/.*):\d+$", listed, re.MULTILINE)
    assert len(origins) == len(names)
    assert all("site-packages" in o and Path(o).is_relative_to(lstmlab.parent.parent) for o in origins)


def test_a_study_is_written_to_the_working_directory(work: Path) -> None:
    assert [p.name for p in work.iterdir()] == ["outputs"]
    results = pd.read_csv(work / "outputs" / "variants" / "results.csv")
    assert len(results) == 3 * 2  # cells × seeds
    assert set(results.status) == {"done"}


def test_the_report_holds_its_table_and_loads_nothing(work: Path) -> None:
    html = (work / "outputs" / "variants" / "report.html").read_text()
    assert len(re.findall(r"<table class=[\"']lstmlab[\"']>", html)) == 1
    assert {urlsplit(url).hostname for url in re.findall(r"https?://[^\s\"'<>)]+", html)} <= NAMES
    assert not re.search(r"<(script|link|iframe)|@import|(src|href)\s*=\s*[\"']?(https?:)?//", html)

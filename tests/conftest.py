"""What several tests share: a study that takes seconds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
torch.set_num_threads(1)
settings.register_profile("untimed", deadline=None)  # other work shares the machine
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    "task=adding",
    "train.steps=4",
    "train.evaluate_every=2",
    "task.samples=50",
    "task.epoch=64",
    "task.length=10",
    "workers=1",  # each imports torch first, which takes longer than the runs
]

LONG = ("test_wheel.py", "test_study.py", "test_jupyterlab.py", "test_report.py", "test_compiler_processes.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="write the table of docs/reliability.md")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process is left alone with one of them at the end."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """Overrides of runs that take a fraction of a second and write below ``tmp_path``."""
    return [*TINY, f"outputs={tmp_path / 'outputs'}"]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", folder], check=True)

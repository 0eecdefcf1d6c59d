"""Faults of what a plugin does inside a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from disturbed import TRAP, Table, failures, rerun
from processes import Start, needs_proc

pytestmark = needs_proc

LIMITED = ("sh", "-c", 'ulimit -v 4000000; exec "$@"', "sh")  # kB of addresses
SAVED = "the others go on; a rerun trains that run only"
FAULTS = {
    "raise": ("raises", f"the run is recorded as failed with the error, its traceback beside it; {SAVED}", []),
    "exit": (
        "calls `os._exit`",
        f"the run is recorded as failed with the exit code, and the worker replaced; {SAVED}",
        [],
    ),
    "hang": (
        "hangs",
        f"with `launch.time_limit` the run is stopped and recorded as failed, and the worker replaced; {SAVED}",
        ["launch.time_limit=0.2"],
    ),
    "allocate": (
        "uses up the memory of the machine",
        f"with `launch.memory_limit` the run is stopped and recorded as failed, and the worker replaced; {SAVED}",
        ["launch.memory_limit=2"],
    ),
    "exhaust": (
        "gets no more memory from the system",
        f"the run is recorded as failed with the error; {SAVED}",
        [],
    ),
}
REASONS = {
    "raise": "ValueError: caught in the trap",
    "exit": "its worker process died: exit code 3; see log.txt in the run's folder",
    "hang": "it took longer than launch.time_limit=0.2 minutes",
    "allocate": "more than launch.memory_limit=2",
    "exhaust": "MemoryError",
}


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(
            way,
            marks=[
                pytest.mark.fault(f"a plugin {what}", promise),
                pytest.mark.slow,
            ],
        )
        for way, (what, promise, _) in FAULTS.items()
    ],
)
def test_what_a_plugin_does_costs_one_run(plugin: Path, start: Start, untrapped: Table, way: str) -> None:
    (plugin / "trap").write_text("allocate" if way == "exhaust" else way)
    outputs = plugin / "outputs"
    driver = start(outputs, *TRAP, *FAULTS[way][2], cwd=plugin, prefix=LIMITED if way == "exhaust" else ())
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 1, said
    (reason,) = failures(outputs)
    assert REASONS[way] in reason
    assert f"failed: {reason}" in said
    again = rerun(outputs, *TRAP, cwd=plugin)
    assert len(again.trained) == 1
    assert again.table == untrapped


@pytest.mark.slow
@pytest.mark.fault(
    "a plugin prints 100 MB", "its log.txt keeps the beginning and the end, 1 MiB at most; the run goes on"
)
def test_a_plugin_that_prints_without_end_does_not_fill_the_disk(plugin: Path, start: Start, untrapped: Table) -> None:
    (plugin / "trap").write_text("print")
    outputs = plugin / "outputs"
    driver = start(outputs, *TRAP, cwd=plugin)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    (log,) = outputs.glob("runs/*/log.txt")
    assert log.stat().st_size <= 1 << 20
    text = log.read_text()
    assert text.startswith("the beginning")
    assert text.rstrip().endswith("the end")
    assert "bytes are left out here" in text
    again = rerun(outputs, *TRAP, cwd=plugin)
    assert again.trained == set()
    assert again.table == untrapped

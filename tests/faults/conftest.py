"""What all faults share: an undisturbed study to compare with, and the table of docs/reliability.md.

A test of a fault is marked ``@pytest.mark.fault("what goes wrong", "what is promised then")``. `make test-faults`
runs all of them and writes the table from these marks and what came out.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from disturbed import TRAP, Table, rerun
from processes import Start, starting

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
TRAP_PLUGIN = Path(__file__).parent / "trap"
MARKS = pytest.StashKey[dict[str, tuple[str, str]]]()


@pytest.hookimpl(tryfirst=True)  # before deselection
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks = {item.nodeid: mark.args for item in items if (mark := item.get_closest_marker("fault"))}
    config.stash[MARKS] = config.stash.get(MARKS, {}) | marks


@pytest.fixture(scope="session")
def faults(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """What goes wrong and what is promised, of every test of a fault."""
    if request.config.getoption("--table", False):
        pytest.skip("the table is being written")
    return list(request.config.stash[MARKS].values())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The final table of the study that faults disturb."""
    return rerun(tmp_path_factory.mktemp("undisturbed")).table


@pytest.fixture(scope="session")
def untrapped(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The final table of the study whose plugin misbehaves, when it does not."""
    folder = tmp_path_factory.mktemp("untrapped")
    shutil.copytree(TRAP_PLUGIN, folder / "plugins" / "trap")
    return rerun(folder / "outputs", *TRAP, cwd=folder).table


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A working directory with the plugin that misbehaves once a file ``trap`` says how."""
    shutil.copytree(TRAP_PLUGIN, tmp_path / "plugins" / "trap")
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    with starting() as start:
        yield start


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--table", False):
        return
    reports = session.config.pluginmanager.get_plugin("terminalreporter").stats
    marks = session.config.stash[MARKS]
    outcomes = {r.nodeid: w for w in ("passed", "failed", "skipped") for r in reports.get(w, []) if r.nodeid in marks}
    came = _former() | {
        fault: f"{', '.join(sorted(words))} {time.strftime('%Y-%m-%d')}"
        for fault in marks.values()
        if (words := {outcomes[node] for node, mark in marks.items() if mark == fault and node in outcomes})
    }
    rows = [f"| {what} | {promise} | {came.get((what, promise), 'not run')} |" for what, promise in _known(marks)]
    lines = [BEGIN, "", "| what goes wrong | what happens | test |", "|---|---|---|", *rows, END]
    _replace(PAGE, "\n".join(lines))


def _former() -> dict[tuple[str, str], str]:
    """Return what the page says: a run of some of the tests leaves the rows of the others alone."""
    table = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines() if line.startswith("| ")]
    return {(what, promise): came for what, promise, came in cells[1:]}


def _known(marks: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Return all faults in the order of the page; new ones come last."""
    return list(dict.fromkeys([*_former(), *marks.values()]))


def _replace(page: Path, new: str) -> None:
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + new + rest.partition(END)[2], encoding="utf-8")

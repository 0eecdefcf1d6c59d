"""What all faults share: an undisturbed study to compare with, and the table of docs/reliability.md.

A test of a fault is marked ``@pytest.mark.fault("what goes wrong", "what is promised then")``. `make test-faults`
runs all of them and writes the table from these marks and what came out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from disturbed import STUDY, Table, table_of
from processes import Start, starting

import lstmlab

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
MARKS = pytest.StashKey[dict[str, tuple[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="write the table of docs/reliability.md")


@pytest.hookimpl(tryfirst=True)  # before deselection
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks = {item.nodeid: mark.args for item in items if (mark := item.get_closest_marker("fault"))}
    config.stash[MARKS] = config.stash.get(MARKS, {}) | marks


@pytest.fixture(scope="session")
def faults(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    """What goes wrong and what is promised, of every test of a fault."""
    return list(request.config.stash[MARKS].values())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The final table of the study that all faults disturb."""
    outputs = tmp_path_factory.mktemp("undisturbed")
    lstmlab.study("variants", [*STUDY, "launch=serial", f"outputs={outputs}"]).run()
    return table_of(outputs)


@pytest.fixture
def start() -> Iterator[Start]:
    with starting() as start:
        yield start


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--table", False):
        return
    reports = session.config.pluginmanager.get_plugin("terminalreporter").stats
    outcomes = {r.nodeid: word for word in ("passed", "failed", "skipped") for r in reports.get(word, [])}
    rows = [
        f"| {what} | {promise} | {outcomes.get(node, 'not run')} |"
        for node, (what, promise) in session.config.stash[MARKS].items()
    ]
    counts = [f"{n} {word}" for word in ("passed", "failed", "skipped") if (n := list(outcomes.values()).count(word))]
    lines = [
        BEGIN,
        f"Last run of `make test-faults`: {time.strftime('%Y-%m-%d')}, {', '.join(counts)}.",
        "",
        "| what goes wrong | what happens | test |",
        "|---|---|---|",
        *rows,
        END,
    ]
    _replace(PAGE, "\n".join(lines))


def _replace(page: Path, new: str) -> None:
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + new + rest.partition(END)[2], encoding="utf-8")

"""The page says what is tested, no more and no less."""

from __future__ import annotations

from conftest import ROOT


def test_the_page_lists_every_fault_that_is_tested(faults: list[tuple[str, str]]) -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in page.splitlines() if line.startswith("| ")]
    assert len(faults) > 10
    assert sorted(rows[1:]) == sorted(set(faults)), "make test-faults writes the table"

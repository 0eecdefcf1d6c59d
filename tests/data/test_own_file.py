"""The dataset csv: somebody's own file behind a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lstmlab.data import CSV, TableConfig
from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig

BASE: dict[str, Any] = {"name": "weather", "dataset": "csv", "hidden_size": 1}


def test_it_gives_the_table_and_what_reading_did(tmp_path: Path) -> None:
    file = tmp_path / "my.csv"
    file.write_text("day,temp\n2024-01-01,1\n2024-01-03,2\n2024-01-04,2\n")
    data = CSV(TableConfig(**BASE, path=str(file)))
    assert data.load().series[""]["temp"].isna().tolist() == [False, True, False, False]
    assert data.quantity == "temp"
    assert "1 times had no row; their values are missing." in data.notes()


def test_its_version_follows_the_bytes_and_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "my.csv"
    file.write_text("day,a,b\n2024-01-01,1,2\n2024-01-02,2,3\n")

    def version(**keys: Any) -> str:
        return CSV(TableConfig(**BASE, path=str(file), **keys)).version

    versions = [version(target="a"), version(target="b"), version(target="a", known=["b"])]
    assert version(target="a") == versions[0]
    file.write_text("day,a,b\n2024-01-01,1,2\n2024-01-02,2,4\n")
    versions.append(version(target="a"))
    assert len(set(versions)) == 4


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "give task.path=…, a CSV file"),
        (TableConfig(**BASE), "task.dataset=csv reads your own data: give task.path=…, a CSV file"),
        (TaskConfig(**BASE), "'weather' does not read tables"),
        (TableConfig(**BASE, path="nowhere.csv"), "task.path=nowhere.csv is not there: expected a CSV file"),
    ],
)
def test_without_a_file_it_says_what_to_set(config: Any, said: str) -> None:
    with pytest.raises(LstmlabError, match=said):
        CSV(config).content()

"""Progress suits where it goes: a log gets plain lines."""

from __future__ import annotations

import pytest

from lstmlab.progress import bar


def test_a_log_gets_few_plain_lines(capfd: pytest.CaptureFixture[str]) -> None:
    with bar(1000, "study") as shown:
        for _ in range(1000):
            shown.update(1)
    lines = capfd.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3
    assert "\r" not in "".join(lines)
    assert "1000/1000" in lines[-1]

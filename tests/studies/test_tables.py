"""Tables while a study goes on: there early, and never a burden."""

from __future__ import annotations

from lstmlab.studies.tables import Sometimes


def test_tables_are_written_at_once_then_now_and_then_and_take_a_twentieth_of_the_time_at_most() -> None:
    now, costs, called = [0.0], 0.5, list[float]()

    def write() -> None:
        called.append(now[0])
        now[0] += costs

    sometimes = Sometimes(write, lambda: now[0])
    for second in range(200):
        now[0] = max(now[0], float(second))
        if second == 100:
            costs = 3.0
        sometimes()
    assert called[:3] == [0.0, 11.0, 22.0]
    assert called[-1] - called[-2] == 63.0

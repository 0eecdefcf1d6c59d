"""Equal budgets: parameter counts agree within 2 %."""

from __future__ import annotations

import pytest

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.studies.budget import build, count_parameters, within_budget


@pytest.mark.parametrize("task", list(registry.task))
def test_all_cells_of_the_study_have_equal_parameters(task: str) -> None:
    counts = {}
    for cell in ("vanilla", "peephole", "coupled"):
        run = within_budget(check(compose([f"task={task}", f"cell={cell}"])).run)
        counts[cell] = count_parameters(build(registry.task.get(task)(run.task), run.cell, run.engine))
    for count in counts.values():
        assert count == pytest.approx(counts["vanilla"], rel=0.02), counts


def test_a_vanilla_cell_gets_the_task_s_size_and_a_coupled_one_more() -> None:
    size = {
        c: within_budget(check(compose(["task=climate", f"cell={c}"])).run).cell.hidden_size
        for c in ("vanilla", "coupled")
    }
    assert size["vanilla"] == check(compose(["task=climate"])).run.task.hidden_size
    assert size["coupled"] > size["vanilla"]


def test_a_size_that_was_asked_for_is_kept() -> None:
    assert within_budget(check(compose(["cell.hidden_size=5"])).run).cell.hidden_size == 5


def test_a_budget_that_no_size_meets_is_refused_with_what_to_do() -> None:
    with pytest.raises(LstmlabError, match=r"choose a larger task.hidden_size"):
        within_budget(check(compose(["task=climate", "cell=coupled", "task.hidden_size=2"])).run)

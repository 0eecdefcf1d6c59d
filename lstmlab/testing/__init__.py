"""What authors of tasks and cells call, from pytest or a notebook, to see whether a contract is kept.

>>> from lstmlab.testing import check_cell, check_task
>>> check_task("climate")  # doctest: +SKIP
>>> check_cell("peephole")  # doctest: +SKIP

One test per check::

    subject = TaskSubject("climate")

    @pytest.mark.parametrize("check", [check for _, check in task_checks()])
    def test_contract(check):
        check(subject)
"""

from __future__ import annotations

from collections.abc import Iterator

from lstmlab import registry
from lstmlab.cells import Cell
from lstmlab.errors import nearest
from lstmlab.testing import _cell_equations, _cell_sequences, _task_leaks, _task_presentation, _task_training
from lstmlab.testing._cell import CellSubject
from lstmlab.testing._contract import Check, ContractError, Named, Outcome, PromiseError, demand, outcomes
from lstmlab.testing._spoil import spoiled
from lstmlab.testing._task import TaskSubject

__all__ = [
    "CellSubject",
    "ContractError",
    "Outcome",
    "PromiseError",
    "TaskSubject",
    "cell_checks",
    "check_cell",
    "check_task",
    "report",
    "spoiled",
    "task_checks",
]


def check_task(name: str, cell: str = "vanilla") -> None:
    """Run all checks of a task, at the size of its ``tiny()``.

    Args:
        name: as it is registered.
        cell: what its runs are made with.

    Raises:
        ContractError: with every check that failed, and what to do.
        UnknownNameError: when nothing is registered under one of the names.
    """
    demand(f"task {name!r} with cell {cell!r}", task_checks(), TaskSubject(name, cell))


def check_cell(cell: str | type[Cell]) -> None:
    """Run all checks of a cell.

    Args:
        cell: a registered name, or a class.

    Raises:
        ContractError: with every check that failed, and what to do.
        UnknownNameError: when nothing is registered under the name.
    """
    subject = CellSubject(cell)
    demand(f"cell {subject.name!r}", cell_checks(), subject)


def report(name: str, cell: str = "vanilla") -> Iterator[Outcome]:
    """Yield what each check comes to, for the task or the cell called ``name``.

    Raises:
        UnknownNameError: when neither is called that.
    """
    if name in registry.task:
        return outcomes(task_checks(), TaskSubject(name, cell))
    if name in registry.cell:
        return outcomes(cell_checks(), CellSubject(name))
    close = nearest(name, [*registry.task, *registry.cell])
    raise registry.UnknownNameError(f"There is no task or cell called {name!r}.{close} `lstmlab list` shows all.")


def task_checks() -> list[Named]:
    """Return (name, function) for each check of a task; a function takes a `TaskSubject` and raises `PromiseError`."""
    p, t, k = _task_presentation, _task_training, _task_leaks
    return _named(
        p.config_is_complete,
        p.documents_are_there,
        p.dataset_tells_its_facts,
        k.splits_are_apart,
        t.batches_are_sound,
        t.outputs_and_loss_fit,
        t.shares_make_the_whole,
        t.every_cell_fits,
        t.gradients_reach_everything,
        k.no_leak_from_the_future,
        k.no_leak_from_test_data,
        k.windows_end_before_their_forecast,
        k.padding_changes_nothing,
        t.loss_falls,
        t.same_seed_same_numbers,
        t.checkpoint_round_trip,
        p.metrics_are_complete,
        p.figures_draw,
        p.notes_are_sentences,
        p.example_can_be_looked_into,
    )


def cell_checks() -> list[Named]:
    """Return (name, function) for each check of a cell; a function takes a `CellSubject` and raises `PromiseError`."""
    e, s = _cell_equations, _cell_sequences
    return _named(
        e.equations_run,
        e.engines_agree,
        e.gradients_are_right,
        e.everything_learns,
        s.lengths_are_respected,
        s.padding_changes_nothing,
        s.no_leak_from_the_future,
        s.resets_start_anew,
        s.state_goes_on,
        s.rows_are_independent,
        s.layers_and_directions_stack,
        s.weights_round_trip,
        e.long_sequences_stay_finite,
        e.forget_bias_keeps,
        e.latex_renders,
        e.costs_are_counted,
        e.summary_is_there,
    )


def _named(*checks: Check) -> list[Named]:
    return [(check.__name__, check) for check in checks]

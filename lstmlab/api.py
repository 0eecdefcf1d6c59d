"""What notebooks and scripts call: `run` and `study`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lstmlab.reports import Report
from lstmlab.studies.run import Run, load_run
from lstmlab.studies.run import run as _run
from lstmlab.studies.study import Study as _Study

__all__ = ["Run", "Study", "load_run", "run", "study"]


class Study(_Study):
    """A study with its report."""

    def report(self) -> Report:
        """Return the comparison that the study's runs support."""
        return Report(self)


def run(overrides: str | Sequence[str] = ()) -> Run:
    """Train one run, or take it from the store where it is finished.

    Args:
        overrides: as on the command line, ``["task=climate", "cell=peephole"]`` or one string.

    Raises:
        LstmlabError: for a wrong config, before anything starts; or when training fails.
    """
    return _run(_split(overrides))


def study(name: str, overrides: str | Sequence[str] = ()) -> Study:
    """Return the study called ``name``, narrowed and configured by ``overrides``.

    Nothing is trained before its `run` is called.

    Raises:
        LstmlabError: for a wrong config of any of its runs.
    """
    return Study(name, _split(overrides))


def _split(overrides: str | Sequence[str]) -> list[str]:
    return shlex.split(overrides) if isinstance(overrides, str) else list(overrides)

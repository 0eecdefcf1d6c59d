"""Studies: expanding, budgets, identity, execution and the store, each a small step of its own."""

from lstmlab.studies.run import Run, load_run, run
from lstmlab.studies.study import Study

__all__ = ["Run", "Study", "load_run", "run"]

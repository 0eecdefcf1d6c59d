"""TensorBoard and MLflow, which may watch runs too: off unless ``trackers`` names them, and never in the way.

A tracker is told what a run records anyway, from a thread of the process that trains. It can be slow, unreachable
or broken: the run does not wait, does not fail, and has the same numbers to the last bit.
"""

from lstmlab.studies.trackers.tracker import Trackers, require
from lstmlab.studies.trackers.tracking import Tracking, settle, to_stderr

__all__ = ["Trackers", "Tracking", "require", "settle", "to_stderr"]

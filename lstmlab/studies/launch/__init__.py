"""The seam between a study and what does its runs, on this machine or on many.

A launcher takes runs and yields `Event`; whatever it is, each run is done by `lstmlab.studies.execute.execute_run`
in some process, which records the result itself.
"""

from lstmlab.studies.launch.events import Event, Options
from lstmlab.studies.launch.study import launch

__all__ = ["Event", "Options", "launch"]

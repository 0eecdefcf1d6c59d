"""The Task contract, and one module for each family of tasks."""

from lstmlab.tasks.task import Batch, Metric, Task

__all__ = ["Batch", "Metric", "Task"]

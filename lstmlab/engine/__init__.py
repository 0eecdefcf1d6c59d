"""From a cell's equations to something that trains: the trace, the recurrence, the layer."""

from lstmlab.engine.layer import RNN
from lstmlab.engine.tracing import Trace, trace

__all__ = ["RNN", "Trace", "trace"]

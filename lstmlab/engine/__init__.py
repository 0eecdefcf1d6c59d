"""From a cell's equations to something that trains: the recurrence and the layer.

The trace is in `lstmlab.engine.tracing`, apart, because importing SymPy takes half a second.
"""

from lstmlab.engine.layer import RNN

__all__ = ["RNN"]

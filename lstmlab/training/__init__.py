"""Training one model: the loop and determinism. `lstmlab.training.probes` looks inside a cell."""

from lstmlab.training.determinism import deterministic
from lstmlab.training.loop import Fit, fit

__all__ = ["Fit", "deterministic", "fit"]

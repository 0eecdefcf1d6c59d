"""Training one model: the loop, determinism, and probes that look inside."""

from lstmlab.training.determinism import deterministic
from lstmlab.training.loop import Fit, fit
from lstmlab.training.probes import probe

__all__ = ["Fit", "deterministic", "fit", "probe"]

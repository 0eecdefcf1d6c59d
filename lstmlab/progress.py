"""Where progress is shown, and one bar of it: a widget in Jupyter, a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Literal

from tqdm.std import tqdm

LINE_EVERY = 10.0  # seconds between two lines in a log
LEAST = 6  # lines that a terminal must have for something to be redrawn in it


def place() -> Literal["notebook", "terminal", "log"]:
    """Return where this process's messages are read.

    A notebook that nobody sits at, under papermill or nbconvert, is a log: its front end is the one that
    cannot be asked for input.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if (kernel := getattr(shell, "kernel", None)) is not None:
        return "notebook" if kernel.get_parent("shell").get("content", {}).get("allow_stdin") else "log"
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return "log"
    return "terminal" if os.get_terminal_size(sys.stderr.fileno()).lines >= LEAST else "log"


def bar(total: int, description: str, unit: str = "run") -> tqdm[Any]:
    """Return a tqdm bar that suits where its output goes; of bytes, ``unit="B"``, it shows kB and MB."""
    return _kind()(total=total, desc=description, unit=unit, unit_scale=unit == "B", dynamic_ncols=True, smoothing=0.05)


def _kind() -> type[tqdm[Any]]:
    where = place()
    if where == "notebook":
        from tqdm.notebook import tqdm_notebook

        return tqdm_notebook
    return tqdm if where == "terminal" else _Lines


class _Lines(tqdm):
    """Prints a line now and then instead of redrawing one."""

    _last, _shown = 0.0, -1
    disable: bool  # tqdm's

    def display(self, *args: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if now - self._last < LINE_EVERY and self.n != self.total:
            return
        self._last, self._shown = now, self.n
        print(str(self), file=sys.stderr, flush=True)

    def close(self) -> None:
        if not self.disable and self._shown != self.n:
            print(str(self), file=sys.stderr, flush=True)
        self.disable = True

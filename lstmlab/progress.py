"""One progress bar: a widget in Jupyter, a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm.auto import tqdm

LINE_EVERY = 10.0  # seconds between two lines in a log


def bar(total: int, description: str, unit: str = "run") -> tqdm[Any]:
    """Return a tqdm bar that suits where its output goes; of bytes, ``unit="B"``, it shows kB and MB."""
    in_notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    kind = tqdm if in_notebook or sys.stderr.isatty() else _Lines
    return kind(total=total, desc=description, unit=unit, unit_scale=unit == "B", dynamic_ncols=True, smoothing=0.05)


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

"""What a plugin may do to the process that runs it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lstmlab_plugins.memory.problems import Adding
from torch import Tensor

from lstmlab.tasks import Batch

STEP = 100  # of a run: it has written checkpoints by then


def _raise() -> None:
    raise ValueError("caught in the trap")


def _hang() -> None:
    time.sleep(3600)


def _exit() -> None:
    os._exit(3)


def _print() -> None:
    line = "x" * 999 + "\n"
    print("the beginning", line * 100_000, "the end", flush=True)


def _allocate() -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))
        time.sleep(0.02)


WAYS: dict[str, Callable[[], None]] = {
    "raise": _raise,
    "hang": _hang,
    "exit": _exit,
    "print": _print,
    "allocate": _allocate,
}


class Trap(Adding):
    """Adding, with a trap for the first run that comes to its step 100."""

    steps = 0

    def loss(self, output: Any, batch: Batch) -> Tensor:
        self.steps += 1
        if self.steps == STEP:
            self._spring()
        return super().loss(output, batch)

    def _spring(self) -> None:
        trap = Path("trap")
        try:
            way = trap.read_text()
            trap.unlink()
        except FileNotFoundError:
            return
        WAYS[way]()

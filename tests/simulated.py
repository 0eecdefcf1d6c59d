"""Runs that are only talked about."""

from __future__ import annotations

from types import SimpleNamespace

from lstmlab.studies.identity import Spec


def spec(task: str, cell: str, seed: int, steps: int = 50) -> Spec:
    named = {"task": SimpleNamespace(label=task), "cell": SimpleNamespace(name=cell)}
    config = SimpleNamespace(**named, seed=seed, train=SimpleNamespace(steps=steps))
    return Spec(config, f"{task}{cell}{seed:09}")  # type: ignore[arg-type]

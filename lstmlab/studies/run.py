"""A run as a handle: what it was, how it went, and its model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import nn

from lstmlab import paths, registry
from lstmlab.config import Settings, check, check_run, compose
from lstmlab.engine import RNN
from lstmlab.errors import TrainingError
from lstmlab.progress import bar
from lstmlab.schema import RunConfig
from lstmlab.studies.budget import build, within_budget
from lstmlab.studies.execute import execute_run
from lstmlab.studies.identity import specify
from lstmlab.studies.store import Result, StorageError, Store, read_result
from lstmlab.tasks import Task


def run(overrides: Sequence[str] = ()) -> Run:
    """Train one run, or take it from the store where it is finished.

    >>> lstmlab.run(["task=climate", "cell=peephole", "seed=1"]).result["value"]  # doctest: +SKIP

    Raises:
        LstmlabError: for a wrong config, before anything starts; `TrainingError` when training fails.
    """
    return run_settings(check(compose(overrides)))


def run_settings(settings: Settings) -> Run:
    """Do what `run` does with a config that is checked already."""
    spec = specify(within_budget(settings.run))
    store = Store(paths.outputs(settings.outputs))
    result = store.result(spec)
    if result is None or result["status"] != "done":
        store.prepare()
        with bar(spec.config.train.steps, spec.name.rpartition("-")[0], "step") as shown:
            result = execute_run(spec, store, lambda step: shown.update(1))
        if result["status"] != "done":
            raise TrainingError(f"{spec.name} failed: {result['reason']} ({store.folder(spec)})")
    return Run(store.folder(spec))


class Run:
    """A run that has ended, read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        result = read_result(folder)
        if result is None:
            raise StorageError(f"{folder} holds no finished run: result.json is missing")
        self.result: Result = result

    @cached_property
    def config(self) -> RunConfig:
        """The config that the run was made with, checked again."""
        plain = OmegaConf.to_container(OmegaConf.load(self.folder / "config.yaml"))
        return check_run(plain)  # type: ignore[arg-type]

    @cached_property
    def task(self) -> Task:
        """The run's task, with its data."""
        task: Task = registry.task.get(self.config.task.name)(self.config.task)
        return task

    @cached_property
    def model(self) -> nn.Module:
        """The model with the best weights, ready to answer."""
        model = build(self.task, self.config.cell, self.config.engine)
        path = self.folder / "weights.safetensors"
        try:
            model.load_state_dict(load_file(path))
        except Exception as error:  # safetensors raises its own type, torch another
            raise StorageError(f"{path} cannot be read: {error}. Delete {self.folder} and run it again.") from None
        return model.eval()

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row per training step and evaluation, as in metrics.jsonl."""
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return pd.DataFrame([json.loads(line) for line in lines])

    @cached_property
    def gates(self) -> pd.DataFrame:
        """Gate activations and states of the first layer while it reads one test sequence."""
        from lstmlab.training.probes import probe  # SymPy is slow to import, and few runs are probed

        inputs = self.task.example().inputs
        embedding = getattr(self.model, "embedding", None)
        rnn = next(m for m in self.model.modules() if isinstance(m, RNN))
        return probe(rnn, (embedding(inputs).detach() if embedding else inputs)[0])

    def __repr__(self) -> str:
        r = self.result
        value = f"{r['metric']} {r['value']:.4g} {r['unit']}".strip() if r["status"] == "done" else r["reason"]
        return f"Run({r['task']}, {r['cell']}, seed {r['seed']}: {r['status']}, {value})"

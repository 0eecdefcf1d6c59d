"""What is wrong in a config is refused before anything starts, with what, where and what to do."""

from __future__ import annotations

import pytest

from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError

BAD = {
    "unknown cell": (["cell=pephole"], ["cell=pephole", "Did you mean 'peephole'", "vanilla"]),
    "unknown task": (["task=climat"], ["task=climat", "Did you mean 'climate'"]),
    "unknown study": (["study=variant"], ["Did you mean 'variants'"]),
    "misspelt key": (["train.stps=3"], ["train.stps=3", "Did you mean 'train.steps'", "train.batch_size"]),
    "misspelt task key": (["task=adding", "task.lenght=9"], ["Did you mean 'task.length'"]),
    "key of another task": (["task=adding", "task.window=9"], ["no key 'task.window'", "task.length"]),
    "misspelt group": (["trian.steps=3"], ["no key 'trian.steps'", "train"]),
    "misspelt top key": (["sed=3"], ["Did you mean 'seed'"]),
    "below a value": (["seed.x=3"], ["no key 'seed.x'"]),
    "text for a number": (["train.steps=many"], ["train.steps='many'", "whole number at least 1"]),
    "fraction for a whole number": (["train.steps=1.5"], ["train.steps=1.5", "whole number"]),
    "out of range": (["train.learning_rate=-1"], ["train.learning_rate=-1", "above 0"]),
    "zero": (["train.batch_size=0"], ["train.batch_size=0", "at least 1"]),
    "not finite": (["train.learning_rate=nan"], ["train.learning_rate=nan", "a number"]),
    "infinite": (["train.learning_rate=inf"], ["train.learning_rate=inf", "a number"]),
    "not a choice": (["train.schedule=cosin"], ["one of constant, cosine", "Did you mean 'cosine'"]),
    "null where a value is needed": (["train.steps=null"], ["train.steps=None", "whole number"]),
    "negative seed": (["seed=-1"], ["seed=-1", "at least 0"]),
    "dropout of one": (["cell.dropout=1"], ["cell.dropout=1", "below 1"]),
    "unknown cell by name": (["cell.name=nope"], ["no cell called 'nope'"]),
    "unknown dataset": (["task.dataset=nope"], ["no dataset called 'nope'", "co2"]),
    "an added key": (["+foo=1"], ["'+foo=1'", "cannot be added"]),
    "a removed key": (["~seed"], ["cannot be added or removed"]),
    "no key": (["=1"], ["key=value"]),
    "not an override": (["climate"], ["'climate'", "key=value"]),
    "several values": (["cell=vanilla,peephole"], ["lstmlab run -m"]),
}


@pytest.mark.parametrize(("overrides", "said"), BAD.values(), ids=list(BAD))
def test_bad_input_is_refused_with_what_is_allowed(overrides: list[str], said: list[str]) -> None:
    with pytest.raises(LstmlabError) as caught:
        check(compose(overrides))
    for text in said:
        assert text in str(caught.value)


def test_overrides_reach_the_typed_config() -> None:
    settings = check(compose(["task=adding", "cell=coupled", "seed=7", "train.clip_norm=null", "task.length=9"]))
    assert (settings.run.cell.name, settings.run.task.length, settings.run.seed) == ("coupled", 9, 7)
    assert settings.run.train.clip_norm is None


def test_a_task_brings_its_training_settings_and_another_can_be_chosen() -> None:
    assert compose(["task=adding"]).train.steps != compose(["task=climate"]).train.steps
    assert compose(["task=adding", "train=climate"]).train == compose(["task=climate"]).train


def test_a_key_of_another_launcher_is_named_as_such() -> None:
    with pytest.raises(LstmlabError, match=r"no key 'launch.address' here; it is one of launch=dask"):
        compose(["launch.address=tcp://host:1"])
    with pytest.raises(LstmlabError, match=r"one of launch=dask and launch=slurm|one of launch=slurm and launch=dask"):
        compose(["launch.minutes=5"])

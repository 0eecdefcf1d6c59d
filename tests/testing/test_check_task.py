"""Each check of a task catches what it is there for, and says what to do; a sound task passes all."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from example_plugins import write_plugins
from torch import nn

from lstmlab import RNN, Batch, LstmlabError, Metric, Task, plugins, registry
from lstmlab.schema import option
from lstmlab.testing import ContractError, PromiseError, TaskSubject, check_task, task_checks

Make = Callable[..., TaskSubject]
CHECKS = dict(task_checks())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The plugin `sunspots` of the docs, registered as long as this file is tested."""
    root = tmp_path_factory.mktemp("docs")
    write_plugins(root)
    assert "climate" in registry.task
    sys.modules[plugins.NAMESPACE].__path__.append(str(root / "plugins"))
    plugins._load(f"{plugins.NAMESPACE}.sunspots.plugin", "docs/plugins.md")
    assert "docs/plugins.md" not in plugins.failures, plugins.failures
    yield root / "plugins" / "sunspots"
    sys.modules[plugins.NAMESPACE].__path__.pop()
    module = plugins._modules.pop()
    for kind in registry.KINDS.values():
        kind.discard_module(module.__name__)


@pytest.fixture
def sound(folder: Path) -> type[Any]:
    return registry.task.get("sunspots")


@pytest.fixture
def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Put a subclass with other attributes in the place of a task, and return it as checks see it."""
    entries: dict[str, Any] = {}  # as they are without us

    def replaced(name: str = "sunspots", doc: str = "A task.", **attributes: Any) -> TaskSubject:
        entry = entries.setdefault(name, registry.task.entry(name))
        kind = entry.load()
        own = attributes | {"__module__": entry.module, "__doc__": doc}
        changed = dataclasses.replace(entry, target=type("Changed", (kind,), own))
        monkeypatch.setitem(registry.task._entries, name, changed)
        return TaskSubject(name)

    return replaced


def refused(check: str, subject: TaskSubject) -> PromiseError:
    """Run one check, which is to fail."""
    with pytest.raises(PromiseError) as caught:
        CHECKS[check](subject)
    assert len(caught.value.do) > 10
    assert f"what to do: {caught.value.do}" in str(caught.value)
    return caught.value


def test_a_sound_task_passes_all_checks(folder: Path) -> None:
    check_task("sunspots", cell="gru")


def test_all_that_fails_is_said_in_one_error(make: Make) -> None:
    make(notes=lambda self: "text", metrics=(Metric("error"),))
    with pytest.raises(ContractError) as caught:
        check_task("sunspots")
    failed = {outcome.name for outcome in caught.value.failed}
    assert {"notes_are_sentences", "metrics_are_complete"} <= failed
    assert f"breaks {len(failed)} of {len(CHECKS)} checks" in str(caught.value)
    assert str(caught.value).count("what to do:") == len(failed)


def test_without_a_config_nothing_else_is_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.task.entry("sunspots")
    monkeypatch.setitem(registry.task._entries, "nowhere", dataclasses.replace(entry, name="nowhere"))
    with pytest.raises(ContractError, match=r"there is no conf/task/nowhere\.yaml") as caught:
        check_task("nowhere")
    assert [o.name for o in caught.value.failed] == ["config_is_complete"]


def test_unknown_names_are_refused(folder: Path) -> None:
    with pytest.raises(LstmlabError, match="Did you mean 'sunspots'"):
        check_task("sunspot")
    with pytest.raises(LstmlabError, match="There is no cell"):
        check_task("sunspots", cell="vanila")


def config(sound: type[Any], **fields: Any) -> type[Any]:
    return dataclasses.make_dataclass(
        "Config", [(k, "int", v) for k, v in fields.items()], bases=(sound.Config,), kw_only=True
    )


def test_config_key_that_the_yaml_lacks(make: Make, sound: type[Any]) -> None:
    error = refused("config_is_complete", make(Config=config(sound, more=option(3, low=1))))
    assert "lacks more" in str(error)


def test_config_number_without_limits(make: Make, sound: type[Any]) -> None:
    error = refused("config_is_complete", make(Config=config(sound, window=option())))
    assert "task.window takes any number" in str(error)
    assert "option(low=" in error.do


def test_documents(make: Make, folder: Path) -> None:
    assert "summary" in str(refused("documents_are_there", make(doc="")))
    subject = make()
    CHECKS["documents_are_there"](subject)
    for name, what in [("README.md", "README.md is missing"), ("test_sunspots.py", "no test_")]:
        (folder / name).rename(folder / "away")
        assert what in str(refused("documents_are_there", subject))
        (folder / "away").rename(folder / name)


def test_facts_of_the_dataset(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, subject = registry.dataset.get("sunspots"), make()
    for name, value, what in [
        ("licence", " ", "says nothing of its licence"),
        ("citation", "", "citation"),
        ("kind", "found", "its kind is 'found'"),
        ("content", lambda self: np.random.default_rng().bytes(4), "differs between two calls"),
        ("content", lambda self: b"", "content"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, value)
            assert what in str(refused("dataset_tells_its_facts", subject))


def test_splits(make: Make, sound: type[Any]) -> None:
    def given(answer: Callable[..., Any]) -> TaskSubject:
        return make(part=lambda self, split: answer(sound.part, self, split))

    overlapping = given(lambda part, task, split: part(task, "train" if split == "test" else split))
    assert "100% of the test rows are train rows" in str(refused("splits_are_apart", overlapping))
    empty = given(lambda part, task, split: part(task, split)[: 5 if split == "validation" else None])
    assert "no rows in validation" in str(refused("splits_are_apart", empty))
    shuffled = make(
        batches=lambda self, split, size, random=None: sound.batches(
            self, split, size, random or np.random.default_rng()
        )
    )
    assert "differ from one task to the next" in str(refused("splits_are_apart", shuffled))


def changed_batches(sound: type[Any], change: Callable[[Batch], Batch]) -> Callable[..., Iterator[Batch]]:
    def batches(self: Task, split: str, size: int, random: Any = None) -> Iterator[Batch]:
        return map(change, sound.batches(self, split, size, random))

    return batches


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda b: Batch(b.inputs.double(), b.targets), "float64"),
        (lambda b: Batch(b.inputs.log() * 0, b.targets), "NaN"),
        (lambda b: Batch(b.inputs, b.targets[:1]), "targets (1, 22, 1)"),
        (lambda b: Batch(b.inputs, b.targets, torch.full((len(b.inputs),), 99)), "lengths"),
    ],
)
def test_batches(make: Make, sound: type[Any], change: Callable[[Batch], Batch], what: str) -> None:
    assert what in str(refused("batches_are_sound", make(batches=changed_batches(sound, change))))


class Wrapped(nn.Module):
    """A model with something done to it."""

    def __init__(self, model: nn.Module, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.change, self.spare = model, forward, nn.Parameter(torch.ones(1))

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> Any:
        return self.change(self, inputs, *self.model(inputs, state, lengths))


def wrapped(make: Make, sound: type[Any], forward: Callable[..., Any], **more: Any) -> TaskSubject:
    return make(model=lambda self, make_rnn: Wrapped(sound.model(self, make_rnn), forward), **more)


def test_outputs_and_loss(make: Make, sound: type[Any]) -> None:
    alone = wrapped(make, sound, lambda self, x, output, state: output)
    assert "not (output, state)" in str(refused("outputs_and_loss_fit", alone))
    turned = wrapped(make, sound, lambda self, x, output, state: (output.transpose(0, 1), state))
    assert "for 64 sequences" in str(refused("outputs_and_loss_fit", turned))
    last = wrapped(make, sound, lambda self, x, output, state: (output[:, -1], state))
    assert "for 22 steps" in str(refused("outputs_and_loss_fit", last))
    each = make(loss=lambda self, output, batch: (output - batch.targets).abs())
    assert "the loss is" in str(refused("outputs_and_loss_fit", each))
    undefined = make(loss=lambda self, output, batch: sound.loss(self, output, batch) * torch.nan)
    assert "nan" in str(refused("outputs_and_loss_fit", undefined))


def test_shares(make: Make, sound: type[Any]) -> None:
    def positive(self: Task, output: torch.Tensor, batch: Batch) -> torch.Tensor:
        return (output - batch.targets)[batch.targets > 0].square().mean()

    assert "let weight() return how much" in str(refused("shares_make_the_whole", make(loss=positive)))
    CHECKS["shares_make_the_whole"](make(loss=positive, weight=lambda self, batch: float((batch.targets > 0).sum())))
    summed = make(loss=lambda self, output, batch: sound.loss(self, output, batch) * len(output))
    assert "let weight() return how much" in str(refused("shares_make_the_whole", summed))
    mixed = wrapped(make, sound, lambda self, x, output, state: (output - output.mean(0), state))
    assert "let no row change the loss of another" in str(refused("shares_make_the_whole", mixed))
    whole = wrapped(make, sound, lambda self, x, output, state: (output + torch.zeros(8, 1, 1), state))
    assert "some rows of a batch alone: " in str(refused("shares_make_the_whole", whole))


def test_cells(make: Make, sound: type[Any]) -> None:
    own = make(model=lambda self, make_rnn: sound.model(self, lambda n: RNN("vanilla", n, 8, batch_first=True)))
    assert "with cell=gru the model holds" in str(refused("every_cell_fits", own))
    two = wrapped(make, sound, lambda self, x, output, state: (output + state[1].mean() * 0, (state[0], state[1])))
    assert "with cell=gru: " in str(refused("every_cell_fits", two))


def test_gradients(make: Make, sound: type[Any]) -> None:
    idle = wrapped(make, sound, lambda self, x, output, state: (output, state))
    assert "no gradient for spare" in str(refused("gradients_reach_everything", idle))
    root = wrapped(make, sound, lambda self, x, output, state: (output + (self.spare - 1).clamp(0).sqrt(), state))
    assert "gradients of spare are not finite" in str(refused("gradients_reach_everything", root))


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x, output, state: (output - x.mean(1, keepdim=True), state),
        lambda self, x, output, state: (output + torch.cat([x[:, 1:], x[:, -1:]], 1), state),
        lambda self, x, output, state: (output.flip(1).cumsum(1).flip(1), state),
    ],
    ids=["mean", "next", "backward"],
)
def test_a_look_into_the_future(make: Make, sound: type[Any], forward: Callable[..., Any]) -> None:
    error = refused("no_leak_from_the_future", wrapped(make, sound, forward))
    assert "inputs after step 0 change outputs up to it" in str(error)


def test_a_task_that_is_not_causal_may_look(make: Make) -> None:
    assert "not causal" in str(CHECKS["no_leak_from_the_future"](make(causal=False)))


def test_what_is_fitted_on_test_data(make: Make, sound: type[Any]) -> None:
    scale = make(fitted=property(lambda self: {"scale": float(self.dataset.load().std())}))
    assert "`fitted` changes when validation and test data do: scale" in str(refused("no_leak_from_test_data", scale))


def test_train_batches_that_hold_test_data(make: Make, sound: type[Any]) -> None:
    def part(self: Any, split: str) -> Any:
        found = sound.part(self, split)
        return found - self.dataset.load().mean()

    subject = make(part=part, fitted=property(lambda self: {"scale": 1.0}))
    assert "train batches change" in str(refused("no_leak_from_test_data", subject))


def test_data_that_come_from_elsewhere_cannot_be_checked(make: Make, sound: type[Any]) -> None:
    def part(self: Any, split: str) -> Any:
        return sound.part(SimpleNamespace(dataset=registry.dataset.get("sunspots")(), config=self.config), split)

    assert "test batches stay the same" in str(refused("no_leak_from_test_data", make(part=part)))


def test_data_of_an_unknown_type(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = make()
    monkeypatch.setattr(registry.dataset.get("sunspots"), "load", lambda self: 3)
    error = refused("no_leak_from_test_data", subject)
    assert "int is altered is not known" in str(error)
    assert "spoiled.register" in error.do


def test_generated_data_cannot_leak(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "generated" in str(CHECKS["no_leak_from_test_data"](TaskSubject("adding")))


def test_a_window_that_reaches_into_its_forecast(make: Make) -> None:
    kind = registry.task.get("climate")

    def inputs(self: Any, panel: Any, starts: np.ndarray) -> np.ndarray:
        """See, as the last step of the past, that which is forecast first."""
        rows: np.ndarray = kind.inputs(self, panel, starts)
        rows[:, self.config.window - 1, 0] = panel.values[starts]
        return rows

    check = CHECKS["windows_end_before_their_forecast"]
    assert check(TaskSubject("climate")) is None
    assert "first test window" in str(refused("windows_end_before_their_forecast", make("climate", inputs=inputs)))


def shortened(batch: Batch) -> Batch:
    """Let every second sequence end early; its padding and the targets there are zero."""
    lengths = torch.full((len(batch.inputs),), batch.inputs.shape[1])
    lengths[1::2] = 5
    real = (torch.arange(batch.inputs.shape[1]) < lengths[:, None])[..., None]
    return Batch(batch.inputs * real, batch.targets * real, lengths)


def masked(self: Task, output: torch.Tensor, batch: Batch) -> torch.Tensor:
    assert batch.lengths is not None
    real = torch.arange(output.shape[1]) < batch.lengths[:, None]
    return (output - batch.targets).abs()[real].mean()


def test_padding(make: Make, sound: type[Any]) -> None:
    batches = changed_batches(sound, shortened)
    assert CHECKS["padding_changes_nothing"](make(batches=batches, loss=masked)) is None
    assert "the loss goes from" in str(refused("padding_changes_nothing", make(batches=batches)))
    pooled = wrapped(
        make, sound, lambda self, x, o, state: (o + x.mean(1, keepdim=True), state), batches=batches, loss=masked
    )
    assert "changes outputs at real steps" in str(refused("padding_changes_nothing", pooled))


def test_a_loss_that_does_not_fall(make: Make, sound: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def uphill(self: Task, output: torch.Tensor, batch: Batch) -> torch.Tensor:
        loss = sound.loss(self, output, batch)
        return 2 * loss.detach() - loss

    assert "the train loss goes from" in str(refused("loss_falls", make(loss=uphill)))
    few = make(tiny=classmethod(lambda cls: ["train.steps=4"]))
    assert "over 4 steps" in str(refused("loss_falls", few))
    monkeypatch.setattr("lstmlab.testing._task_training.SECONDS", 0)
    assert "the tiny run takes" in str(refused("loss_falls", make(tiny=sound.tiny)))


def test_a_run_that_fails_says_why(make: Make) -> None:
    def evaluate(self: Task, model: nn.Module, split: str) -> dict[str, float]:
        raise ZeroDivisionError("nothing to score")

    error = refused("loss_falls", make(evaluate=evaluate))
    assert "nothing to score" in str(error)
    assert "test_check_task.py" in str(error)


def test_seeds(make: Make, sound: type[Any]) -> None:
    def noisy(self: Task, split: str, size: int, random: Any = None) -> Iterator[Batch]:
        return sound.batches(self, split, size, random and np.random.default_rng())

    assert "two runs with seed 0 differ" in str(refused("same_seed_same_numbers", make(batches=noisy)))

    def model(self: Task, make_rnn: Any) -> nn.Module:
        torch.manual_seed(0)
        return sound.model(self, make_rnn)

    fixed = make(model=model, batches=lambda self, split, size, random=None: sound.batches(self, split, size))
    assert "seeds 0 and 1 give the same numbers" in str(refused("same_seed_same_numbers", fixed))


def test_checkpoints(make: Make, sound: type[Any]) -> None:
    def fitted(**more: Any) -> property:
        return property(lambda self: {"scale": 40.0} | more)

    def reads_data(self: Any, make_rnn: Any) -> nn.Module:
        return sound.model(self, make_rnn) if len(self.dataset.load()) else nn.Identity()

    class Counting(Wrapped):
        def __init__(self, model: nn.Module) -> None:
            super().__init__(model, lambda self, x, output, state: (output + self.calls, state))
            self.spare.requires_grad_(False)
            self.calls = 0

        def forward(self, *given: Any) -> Any:
            self.calls += self.training
            return super().forward(*given)

    for attributes, what in [
        ({"fitted": fitted(values={1, 2})}, "cannot be stored as JSON"),
        ({"fitted": fitted(bounds=(1, 2))}, "changes on its way through JSON: bounds"),
        ({"model": reads_data}, "cannot be built without the data"),
        ({"model": lambda self, make_rnn: Counting(sound.model(self, make_rnn))}, "after it is opened"),
    ]:
        assert what in str(refused("checkpoint_round_trip", make(**attributes)))


def test_metrics(make: Make, sound: type[Any]) -> None:
    def scored(**more: float) -> Callable[..., Any]:
        return lambda self, answers, split: sound.score(self, answers, split) | more

    def without(self: Any, split: str) -> dict[str, dict[str, float]]:
        return {"a guess": {"MSE": 1.0}}

    for attributes, what in [
        ({"metrics": (Metric("MAE"),)}, "the first metric, 'MAE', has no unit"),
        ({"metrics": (Metric("MAE", "sunspots"), Metric("MAE"))}, "metrics are"),
        ({"metrics": (Metric("MAE", "sunspots"), Metric("R2"))}, "no finite number for R2"),
        ({"score": scored(R2=1.0)}, "gives R2, which `metrics` lacks"),
        ({"baselines": lambda self, split: {}}, "no baseline"),
        ({"baselines": without}, "baseline 'a guess' gives no finite number for MAE"),
        ({"baselines": lambda self, split: {"a guess": {"MAE": np.inf}}}, "no finite number for MAE"),
    ]:
        assert what in str(refused("metrics_are_complete", make(**attributes)))
    CHECKS["metrics_are_complete"](
        make(
            metrics=(Metric("accuracy", better="higher"),),
            score=lambda *_: {"accuracy": 0.5},
            baselines=lambda self, split: {"a guess": {"accuracy": 0.5}},
        )
    )


def test_figures(make: Make, sound: type[Any]) -> None:
    def bare(self: Any, ax: Any, models: Any, colours: Any) -> None:
        ax.plot([1, 2])
        ax.set_xlabel("year")

    for attributes, what in [
        ({"draw_example": bare}, "no label"),
        ({"draw_example": lambda self, ax, models, colours: None}, "draws nothing"),
        ({"example_title": ""}, "example_title"),
        ({"exhibits": lambda self, models, colours: {"What": object()}}, "exhibit 'What' is a object"),
        ({"verdict": lambda self, models: None}, "verdict() returns None"),
    ]:
        assert what in str(refused("figures_draw", make(**attributes)))
    table = pd.DataFrame({"a": [1]})
    CHECKS["figures_draw"](
        make(
            exhibits=lambda self, models, colours: {"Scores": table},
        )
    )


def test_an_error_in_an_author_s_code_says_where(make: Make) -> None:
    make(draw_example=lambda self, ax, models, colours: models["vanillla"])
    with pytest.raises(ContractError, match=r"figures_draw: KeyError: 'vanillla' \(.*test_check_task.py:\d+\)"):
        check_task("sunspots")


@pytest.mark.parametrize("notes", ["text", ["no sentence"], [3]])
def test_notes(make: Make, notes: Any) -> None:
    assert "notes() of the task" in str(refused("notes_are_sentences", make(notes=lambda self: notes)))


def test_examples(make: Make, sound: type[Any]) -> None:
    two = make(example=lambda self: next(sound.batches(self, "test", 2)))
    assert "example() has inputs of shape (2, 22, 1)" in str(refused("example_can_be_looked_into", two))


def test_every_check_is_proven_here() -> None:
    """A check that is added without a task that it catches is noticed."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in CHECKS if f'refused("{name}"' not in text] == []

"""Checks of what people meet: config, documents, facts of the data, metrics, figures, notes."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from omegaconf import OmegaConf

from lstmlab import paths, plugins, registry
from lstmlab.config import compose
from lstmlab.data import Dataset
from lstmlab.data._dataset import KINDS
from lstmlab.data.tables import TableConfig
from lstmlab.schema import TaskConfig
from lstmlab.testing._contract import expect
from lstmlab.testing._task import TaskSubject
from lstmlab.validation import ConfigError, typed

# Words in the names of numbers that have no unit, or say it themselves.
UNITLESS = re.compile(
    r"\b(accuracy|auc|bits|bleu|calibration|cer|chrf|correlation|coverage|error rate|f1|fpr|kappa|mape|mase|mcc|nats"
    r"|nll|perplexity|precision|qlike|r2|r²|rate|recall|score|share|skill|smape|ter|tpr|wer)\b"
)
RICH = ("html", "png", "svg", "markdown", "latex", "mimebundle")


def config_is_complete(subject: TaskSubject) -> None:
    """conf/task/<name>.yaml is there, composes, has every key of Config, and each number has limits."""
    name, schema = subject.name, subject.kind.Config
    folders = [paths.assets("conf"), *plugins.conf_folders()]
    expect(
        any((folder / "task" / f"{name}.yaml").is_file() for folder in folders),
        f"there is no conf/task/{name}.yaml",
        f"write conf/task/{name}.yaml beside plugin.py, with every key of {schema.__name__}",
    )
    plain: Any = OmegaConf.to_container(compose([f"task={name}"]), resolve=True)
    fields = {f.name: f for f in dataclasses.fields(schema)}
    optional = {"variant"} if issubclass(schema, TableConfig) else {"variant", "path"}
    missing = [key for key in fields if key not in plain["task"] and key not in optional]
    expect(
        not missing,
        f"conf/task/{name}.yaml lacks {', '.join(missing)}",
        "write these keys into it: what it lacks cannot be overridden",
    )
    for field in fields.values():
        if str(field.type).partition(" | ")[0] in ("int", "float"):
            expect(
                _refused(schema, plain["task"], field),
                f"task.{field.name} takes any number",
                f"declare its limits: {field.name}: {field.type} = option(low=...)",
            )
    _ = subject.config  # with the overrides of tiny()


def documents_are_there(subject: TaskSubject) -> None:
    """The registered entry has a summary; a plugin folder has a README.md and a test file."""
    expect(
        bool(subject.entry.summary.strip()),
        f"the task is registered without a summary ({subject.entry.origin})",
        "write what is learnt, and its metric, as the first line of the docstring of what @task decorates",
    )
    if not subject.entry.module.startswith(plugins.NAMESPACE):
        return
    folder = Path(str(sys.modules[subject.entry.module].__file__)).parent
    readme = folder / "README.md"
    expect(
        readme.is_file() and bool(readme.read_text(encoding="utf-8").strip()),
        f"{readme} is missing or empty",
        "say there where the data come from, what the model and metrics are, and how it is run",
    )
    expect(
        any(folder.glob("test_*.py")),
        f"{folder} has no test_*.py",
        f'write test_{subject.name}.py; check_task("{subject.name}") is a beginning',
    )


def dataset_tells_its_facts(subject: TaskSubject) -> None:
    """Title, kind, licence, source, size and citation are given, and the version follows the content."""
    data: Dataset = subject.make().dataset
    facts = ("title", "licence", "source", "size", "citation") if data.kind != "file" else ("title",)
    missing = [fact for fact in facts if not str(getattr(data, fact, "")).strip()]
    expect(
        not missing,
        f"dataset {subject.config.task.dataset!r} says nothing of its {', '.join(missing)}",
        'give them as class attributes; where one does not exist say why, as in citation = "none: generated here"',
    )
    expect(data.kind in KINDS, f"its kind is {data.kind!r}", f"make it one of {', '.join(KINDS)}")
    content, again = data.content(), subject.make().dataset.content()
    expect(
        isinstance(content, bytes) and bool(content) and content == again,
        "content() is empty, no bytes, or differs between two calls",
        "return bytes that change when the data do, and only then: runs are told apart by them",
    )
    summary = registry.dataset.entry(subject.config.task.dataset).summary
    expect(bool(summary.strip()), "the dataset has no summary", "write a docstring for what @dataset decorates")


def metrics_are_complete(subject: TaskSubject) -> None:
    """Models and all baselines have a finite value for every metric, and the first one has a unit if it can."""
    task, names = subject.task, [m.name for m in subject.task.metrics]
    expect(
        bool(names) and len({*names}) == len(names) and all(m.better in ("lower", "higher") for m in task.metrics),
        f"metrics are {task.metrics}",
        'give at least one Metric(name, unit), each name once, with better="lower" or "higher"',
    )
    baselines = task.baselines("test")
    expect(bool(baselines), "there is no baseline", "score something that needs no network, if only the best constant")
    scores = {f"evaluate() on {s}": task.evaluate(subject.run().model, s) for s in ("validation", "test")}
    scores |= {f"baseline {name!r}": found for name, found in baselines.items()}
    for who, found in scores.items():
        bad = [n for n in names if not (isinstance(found.get(n), int | float) and math.isfinite(found[n]))]
        extra = [n for n in found if n not in names]
        expect(not bad, f"{who} gives no finite number for {', '.join(bad)}", "return {metric name: float} for all")
        expect(not extra, f"{who} gives {', '.join(extra)}, which `metrics` lacks", "declare them in `metrics`")
    generated = task.dataset.kind == "generated"
    expect(
        generated or bool(task.metric.unit) or bool(UNITLESS.search(task.metric.name.lower())),
        f"the first metric, {task.metric.name!r}, has no unit",
        f'give it as Metric({task.metric.name!r}, "°C"), or name what has none so that it shows: accuracy, F1, MASE',
    )


def figures_draw(subject: TaskSubject) -> None:
    """draw_example draws models by any name, with axes labelled; exhibits can be displayed; verdict is text."""
    task, model = subject.task, subject.run().model
    models = {subject.cell: model, "another model": subject.model().eval()}
    colours = {name: f"C{i}" for i, name in enumerate(models)}
    expect(bool(getattr(task, "example_title", "")), "example_title is missing", "say what the example figure shows")
    figure = Figure()
    task.draw_example(figure.subplots(), models, colours)
    figure.savefig(BytesIO())
    expect(any(ax.has_data() for ax in figure.axes), "draw_example draws nothing", "draw the models' answers on `ax`")
    labelled = [any(getattr(ax, f"get_{way}label")().strip() for ax in figure.axes) for way in "xy"]
    expect(all(labelled), "an axis of draw_example has no label", "set ax.set_xlabel and ax.set_ylabel, with units")
    for title, exhibit in task.exhibits(models, colours).items():
        if isinstance(exhibit, Figure):
            exhibit.savefig(BytesIO())
        rich = any(hasattr(exhibit, f"_repr_{kind}_") for kind in RICH) or hasattr(exhibit, "_ipython_display_")
        expect(
            isinstance(exhibit, Figure | str) or rich,
            f"exhibit {title!r} is a {type(exhibit).__name__}, which a notebook shows as code",
            "return a matplotlib Figure, a DataFrame, IPython.display.HTML, or text",
        )
    verdict = task.verdict({name: [m, m] for name, m in models.items()})
    expect(isinstance(verdict, str), f"verdict() returns {verdict!r}", 'return a sentence, or "" for the usual one')


def notes_are_sentences(subject: TaskSubject) -> None:
    """notes() of task and dataset are lists of sentences."""
    task = subject.make()
    for who, notes in (("task", task.notes()), ("dataset", task.dataset.notes())):
        good = isinstance(notes, list | tuple) and all(
            isinstance(n, str) and n.strip().endswith((".", "!")) for n in notes
        )
        expect(good, f"notes() of the {who} are {notes!r}", "return a list of sentences, each with a full stop")


def example_can_be_looked_into(subject: TaskSubject) -> None:
    """example() is one test sequence, on which the gates of a trained cell can be shown."""
    batch, run = subject.task.example(), subject.run()
    expect(
        len(batch.inputs) == len(batch.targets) == 1 and batch.inputs.shape[1] > 1,
        f"example() has inputs of shape {tuple(batch.inputs.shape)}",
        "return a Batch with one sequence of several steps",
    )
    expect(
        len(run.gates) > 0,
        "the gates of the trained cell cannot be shown",
        "let the first RNN of the model read the inputs, through `model.embedding` where there is one",
    )


def _refused(schema: type[TaskConfig], plain: dict[str, Any], field: dataclasses.Field[Any]) -> bool:
    """Return whether some number is out of range for a key."""
    limits = field.metadata
    outside = [limits["low"] - 1] if "low" in limits else []
    outside += [limits["high"] + 1] if "high" in limits else []
    outside += [limits[k] for k in ("above", "below") if k in limits]
    try:
        typed(schema, plain | {field.name: outside[0]}, "task")
    except (ConfigError, IndexError):
        return bool(outside)
    return False

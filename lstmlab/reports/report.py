"""The report of a study, in the parts that the notebook shows one after the other."""

from __future__ import annotations

import datetime
import shlex
from html import escape
from typing import TYPE_CHECKING

from IPython.display import HTML, SVG, Markdown, display

from lstmlab import registry
from lstmlab.engine.tracing import trace
from lstmlab.machine import describe
from lstmlab.reports import figures, tables, tuning, verdict
from lstmlab.reports.section import describe_data, draw, escape_markdown, section
from lstmlab.studies.study import Study

if TYPE_CHECKING:
    import pandas as pd


class Report:
    """What a study's finished runs say; each method returns something that a notebook displays."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def question(self) -> Markdown:
        """The question, and what was run to answer it."""
        study = self.study.config
        n = len(self.study.specs)
        return Markdown(
            f"# Study: {escape_markdown(study.name)}\n\n**{escape_markdown(study.question)}**\n\n"
            f"{n} runs: {len(study.cells)} cell(s) × {len(study.tasks)} task(s) × {len(study.seeds)} seed(s). Every "
            "cell sees the same data in the same order for the same seed, and has as many units as cost the same "
            "number of parameters (within 2 %) unless a size was asked for. Values are from the test split, "
            f"with the weights that were best on validation. {tuning.describe(self.study)} Times are those of runs "
            "that share the machine."
        )

    def verdict(self, details: bool = True) -> Markdown:
        """The answer in plain words; without ``details`` what is said of each task is left to its section."""
        return Markdown("\n\n".join(["## Verdict", *verdict.describe(self.study, details)]))

    def summary(self, task: str) -> pd.DataFrame:
        """The table of a task as data."""
        return tables.summarise(self.study, task)

    def tables(self) -> HTML:
        """A table per task, cells and baselines together, then the runs that failed."""
        parts = []
        for name in self.study.tasks:
            summary = registry.task.entry(self.study.tasks[name].config.name).summary
            parts.append(f"<h3>{escape(name)}</h3><p>{escape(summary)}</p>{tables.to_html(self.study, name)}")
            parts.append(tuning.to_html(self.study, name))
        if self.study.failures:
            items = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in self.study.failures.items())
            parts.append(f"<h3>Failed runs</h3><ul>{items}</ul>")
        return HTML("\n".join(parts))

    def metric_per_cell(self) -> SVG:
        """Every seed as a dot, means with intervals, and the best baseline."""
        return draw(self.study, "metric_per_cell", figures.metric_per_cell(self.study))

    def learning_curves(self) -> SVG:
        """Validation metric over training steps, with a band over the seeds."""
        return draw(self.study, "learning_curves", figures.learning_curves(self.study))

    def quality_against_cost(self) -> SVG:
        """Test metric over training time."""
        return draw(self.study, "quality_against_cost", figures.quality_against_cost(self.study))

    def examples(self) -> SVG:
        """Answers of one model per cell beside the truth."""
        return draw(self.study, "examples", figures.examples(self.study))

    def sections(self) -> None:
        """Display a section for each task: verdict, table, figures, what the task itself shows, data."""
        for task in self.study.tasks:
            for part in section(self.study, task):
                display(part)

    def equations(self) -> Markdown:
        """The equations of the study's cells, from the same code that was trained."""
        parts = []
        for name in self.study.config.cells:
            entry = registry.cell.entry(name)
            parts.append(f"**{name}**: {escape_markdown(entry.summary)}\n\n$$\n{trace(entry.load()).latex()}\n$$")
        return Markdown("\n\n".join(parts))

    def sources(self) -> Markdown:
        """Where the data come from, under which licence, and what was done to them."""
        return Markdown("\n".join(describe_data(name, task) for name, task in self.study.tasks.items()))

    def reproduction(self) -> Markdown:
        """Versions, hardware, date, and the command that makes this report again."""
        command = shlex.join(["lstmlab", "report", f"study={self.study.name}", *self._overrides()])
        machine = ", ".join(f"{k} {v}" for k, v in describe().items())
        used = [r["machine"] for r in self.study.results.values() if r and "machine" in r]
        others = [m for m in {str(m): m for m in used}.values() if m != describe()]
        note = [f"- {len(others)} other machine(s) or version(s) made some of the runs"] if others else []
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Markdown("\n".join([f"- rendered {today}", f"- {machine}", *note, "", f"```\n{command}\n```"]))

    def _overrides(self) -> list[str]:
        """Return the study's overrides without what belongs to a place; the URL of a database may hold a password."""
        local = ("outputs", "workers", "trackers", "study.storage")
        return [o for o in self.study.overrides if o.partition("=")[0] not in local]

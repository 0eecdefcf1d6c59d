"""The sentiment task: what a text thinks of its subject."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from lstmlab.errors import some
from lstmlab.schema import option
from lstmlab.tasks.text_classification import TextClassification, TextConfig

from . import comparison, exhibits
from .table import read_texts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(kw_only=True)
class SentimentConfig(TextConfig):
    """Keys of the sentiment task."""

    reviews: int = option(3000, low=100)  # that are generated
    validation: float = option(0.1, above=0, below=0.5)  # share of the texts, where the data bring no split
    test: float = option(0.2, above=0, below=0.5)  # share of the texts, where the data bring no split
    text_column: str = option("text")  # of a table: that of texts, by name, or number without a header
    label_column: str = option("label")  # of a table: that of classes
    split_column: str | None = option(None)  # of a table: that which says train, validation or test
    header: bool = option(True)  # of a table: its first row has the names of the columns
    separator: str = option("auto", choices=("auto", "comma", "semicolon", "tab"))  # of a table, between cells
    quoted: bool = option(True)  # of a table: double quotes may surround a cell; false: they are characters


class Sentiment(TextClassification):
    """Name what a text thinks: negative or positive, or whatever classes the data have."""

    Config = SentimentConfig
    config: SentimentConfig

    @classmethod
    def tiny(cls) -> list[str]:
        """Few reviews, a small network."""
        return [
            "task.reviews=200", "task.hidden_size=16", "task.embedding_size=32",
            "train.batch_size=16", "train.steps=40", "train.evaluate_every=20", "train.learning_rate=0.02",
        ]  # fmt: skip

    @property
    def example_title(self) -> str:  # type: ignore[override]
        """What the example figure shows; pooling that takes the ends only has no weights to show."""
        return "Test accuracy by class" if self.config.pooling == "last" else "Weight of each word of a test text"

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the weights of the words of a test text."""
        if self.config.pooling == "last":
            super().draw_example(ax, models, colours)
        else:
            exhibits.draw_weights(self, ax, models, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Add accuracy by kind of text, where models look, and the texts that they misjudge most."""
        if not models:
            return {}
        kinds = exhibits.groups(self, models, self.baseline_answers("test"))
        shown = super().exhibits(models, colours) | {"Accuracy (%) by kind of text": kinds}
        if self.config.pooling != "last":
            title = f"Where models look ({self.config.pooling} pooling): words the bluer, the more weight they have"
            shown[title] = exhibits.weights_table(self, models)
        return shown | {"The test texts that are misjudged most, with probabilities": exhibits.errors(self, models)}

    def verdict(self, models: Mapping[str, Sequence[nn.Module]]) -> str:
        """Return what a paired test over texts supports against the best baseline."""
        return comparison.verdict(self, models)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return a row for each text of a file with one on each line, or of a table (.csv, .tsv) with a column of them.

        Columns: the line, the text, the class, how probable it is, and how probable each class is. Blank lines get
        none; of what is left out or cut a warning tells.
        """
        import pandas as pd

        rows = read_texts(source, self.config)
        texts = [row for row in rows if row.cells[0]]
        tokens = [self.tokenize(row.cells[0]) for row in texts]
        if blank := [str(row.line) for row in rows if not row.cells[0]]:
            warnings.warn(f"{source}: {len(blank)} line(s) without a text are left out: {some(blank)}", stacklevel=2)
        if long := [str(r.line) for r, t in zip(texts, tokens, strict=True) if len(t) > self.config.longest]:
            warnings.warn(
                f"{source}: of {len(long)} text(s), the first {self.config.longest:,} tokens are read: {some(long)}",
                stacklevel=2,
            )
        answers = self.probabilities(model, tokens)
        best = answers.argmax(1)
        known = {"line": [row.line for row in texts], "text": [row.cells[0] for row in texts]}
        said = {"class": [self.classes[k] for k in best], "probability": answers.max(1)}
        return pd.DataFrame(known | said | {f"P({name})": answers[:, k] for k, name in enumerate(self.classes)})

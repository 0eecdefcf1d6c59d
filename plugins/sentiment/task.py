"""The sentiment task."""

from __future__ import annotations

from dataclasses import dataclass

from lstmlab.schema import option
from lstmlab.tasks.text_classification import TextClassification, TextConfig


@dataclass(kw_only=True)
class SentimentConfig(TextConfig):
    """Keys of the sentiment task."""

    reviews: int = option(3000, low=50)  # that are generated
    validation: float = option(0.1, above=0, below=0.5)  # share of the texts, where the data bring no split
    test: float = option(0.2, above=0, below=0.5)  # share of the texts, where the data bring no split
    text: str = option("text")  # of a table: the column of texts, by name, or by number where there is no header
    label: str = option("label")  # of a table: the column of classes
    split: str | None = option(None)  # of a table: the column that says train, validation or test
    header: bool = option(True)  # of a table: its first row has the names of the columns
    separator: str = option("auto", choices=("auto", "comma", "semicolon", "tab"))  # of a table, between cells
    quoted: bool = option(True)  # of a table: double quotes may surround a cell; false: they are characters


class Sentiment(TextClassification):
    """Name what a text thinks."""

    Config = SentimentConfig
    config: SentimentConfig

    @classmethod
    def tiny(cls) -> list[str]:
        """Few reviews, a small network."""
        return [
            "task.reviews=120", "task.hidden_size=16", "task.embedding_size=8", "train.batch_size=16", "train.steps=40",
            "train.evaluate_every=20", "train.learning_rate=0.02",
        ]  # fmt: skip

"""The task of named entity recognition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Metric
from lstmlab.tasks.bucketing import pad
from lstmlab.tasks.tagging import Sentence, Tagging, TaggingConfig
from lstmlab.tasks.task import Batch

from . import exhibits
from .baselines import Gazetteer, UsualTag
from .conll import Columns, read_new
from .entities import OUTSIDE, count, entities, surface_f1, surface_forms

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHOWN = 12  # sentences of the test split in a report
GAZETTEER = "gazetteer of train names"


@dataclass(kw_only=True)
class NerConfig(TaggingConfig):
    """Keys of the task."""

    word_column: int = option(0, low=-100, high=100)  # of the user's files, from 0; negative ones count from the end
    tag_column: int = option(-1, low=-100, high=100)
    strict: bool = option(False)  # refuse I- where an entity begins, rather than read it as B-
    longest: int = option(500, low=1)  # words of a sentence in the user's files; longer ones are refused
    validation: float = option(0.15, above=0, below=0.5)  # share of the sentences, where the files have no such split
    test: float = option(0.15, above=0, below=0.5)


class EntityRecognition(Tagging):
    """Find names and their types, with tags B-type, I-type and O.

    An I- may only follow a B- or an I- of its type: other sequences have no probability, in training and in answers.
    An entity is right where its type and both its boundaries are (conlleval).
    """

    Config = NerConfig
    config: NerConfig
    metrics = (
        Metric("entity F1", "%", better="higher"),
        Metric("precision", "%", better="higher"),
        Metric("recall", "%", better="higher"),
        Metric("surface F1", "%", better="higher"),
    )
    example_title = "Entities of each type in the test split"

    @classmethod
    def tiny(cls) -> list[str]:
        """A small network, few steps."""
        return [
            *("task.hidden_size=12", "task.embedding_size=12", "task.character_size=8", "task.spelling_size=12"),
            *("train.steps=24", "train.evaluate_every=12", "train.batch_size=16"),
        ]

    def tag_names(self, sentences: Sequence[Sentence]) -> list[str]:
        """Return O, and B- and I- for each type that train sentences have.

        Raises:
            LstmlabError: when they have none.
        """
        kinds = sorted({e[0] for _, tags in sentences for e in entities(tags)})
        if not kinds:
            raise LstmlabError(
                f"the {len(sentences):,} train sentences have no entity: each tag is O. Expected some B-TYPE in "
                "the last column (task.tag_column says which column it is)"
            )
        return [OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]

    def may_follow(self, tag: str, before: str | None) -> bool:
        """Return whether an I- goes on with what came before; all other tags may stand anywhere."""
        return tag[0] != "I" or (before is not None and before[2:] == tag[2:])

    @cached_property
    def kinds(self) -> list[str]:
        """The types that the model knows."""
        return [tag[2:] for tag in self.tags if tag[0] == "B"]

    def truth(self, split: str) -> list[list[str]]:
        """Return the tags of a split, also those of types that the train split lacks."""
        return [tags for _, tags in self.splits[split]]

    def score(self, answers: Sequence[Sequence[str]], split: str) -> dict[str, float]:
        """Return the metrics of tags for the sentences of a split."""
        truth = self.truth(split)
        counts = count(truth, answers)
        surface = surface_f1([words for words, _ in self.splits[split]], truth, answers)
        values = (counts.f1, counts.precision, counts.recall, surface)
        return {metric.name: value for metric, value in zip(self.metrics, values, strict=True)}

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the metrics of a model's tags."""
        return self.score(self.tagged(model, split), split)

    @cached_property
    def gazetteer(self) -> list[list[str]]:
        """The tags that a list of the train names gives the test sentences."""
        found = Gazetteer(self.splits["train"])
        return [found.tag(words) for words, _ in self.splits["test"]]

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score a list of the train names, and each word's usual tag."""
        taggers = {GAZETTEER: Gazetteer(self.splits["train"]), "usual tag of each word": UsualTag(self.splits["train"])}
        words = [words for words, _ in self.splits[split]]
        return {name: self.score([tagger.tag(w) for w in words], split) for name, tagger in taggers.items()}

    def notes(self) -> list[str]:
        """Count sentences and entities, and say what is new in the test split."""
        known = set(surface_forms(self.splits["train"]))
        told = []
        for split, sentences in self.splits.items():
            found = sum(len(entities(tags)) for _, tags in sentences)
            told.append(f"{len(sentences):,} {split} sentences with {found:,} entities")
        tested = surface_forms(self.splits["test"])
        new = sum(times for name, times in tested.items() if name not in known)
        notes = [f"{'; '.join(told)}. Of the test entities {new:,} occur in no train sentence with their type."]
        missing = {k: n for split in ("validation", "test") for k, n in self._unseen_types(split).items()}
        notes += super().notes()
        if missing:
            listed = ", ".join(f"{kind} ({times:,})" for kind, times in missing.items())
            notes.append(f"Types that no train sentence has, whose entities count as missed: {listed}.")
        return notes

    def _unseen_types(self, split: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for tags in self.truth(split):
            for kind, _, _ in entities(tags):
                if kind not in self.kinds:
                    found[kind] = found.get(kind, 0) + 1
        return found

    def example(self) -> Batch:
        """Return the first test sentence of at least six words with an entity, else the longest."""
        sentences = self.splits["test"]
        chosen = next(
            (s for s in sentences if len(s[0]) >= 6 and entities(s[1])), max(sentences, key=lambda s: len(s[0]))
        )
        inputs, lengths = pad([self._encoder(chosen[0])])
        targets = pad([self.numbers(chosen[1])], -1)[0]
        return Batch(inputs, targets, lengths)

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the F1 of each type, of the models and of the list of train names."""
        answers = {GAZETTEER: self.gazetteer} | {name: self.tagged(m, "test") for name, m in models.items()}
        exhibits.draw_types(ax, self.truth("test"), answers, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Show tagged sentences, what went wrong, seen and unseen names, and what the random field has learnt."""
        if not models:
            return {}
        truth, words = self.truth("test"), [words for words, _ in self.splits["test"]]
        answers = {name: self.tagged(model, "test") for name, model in models.items()}
        known = set(surface_forms(self.splits["train"]))
        return {
            "Test sentences, the truth and what each model finds": exhibits.tagged(words, truth, answers, SHOWN),
            "What becomes of the entities of the test split": exhibits.error_table(truth, answers),
            "Names that train sentences have, and names that they lack": exhibits.draw_seen(
                words, truth, {GAZETTEER: self.gazetteer} | answers, known, colours
            ),
            "Scores of SemEval 2013 task 9.1": exhibits.semeval(truth, answers),
            "What follows what: weights of the conditional random field": exhibits.draw_transitions(
                {name: model.transitions for name, model in models.items()}, self.tags
            ),
        }

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return the tag of each word in a file of CoNLL columns, of words, or of plain sentences, one a line."""
        import pandas as pd

        c = self.config
        sentences = read_new(source, Columns(c.word_column, c.tag_column, c.longest))
        answers = self.answers(model, sentences)
        rows = [
            (at, word, tag, sure)
            for at, (words, (tags, probabilities)) in enumerate(zip(sentences, answers, strict=True), 1)
            for word, tag, sure in zip(words, tags, probabilities, strict=True)
        ]
        return pd.DataFrame(rows, columns=["sentence", "word", "tag", "probability"])

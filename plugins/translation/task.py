"""The translation task: sentences of one language in another."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from lstmlab.data import SPLITS
from lstmlab.data.text_file import TextError, read_lines
from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Metric
from lstmlab.tasks.transduction import ENTROPY, LOOKED_AT, Pair, Transduction, TransductionConfig

from . import baselines, exhibits, scores
from .pairs import clean
from .subwords import Subwords

if TYPE_CHECKING:
    import pandas as pd


@dataclass(kw_only=True)
class TranslationConfig(TransductionConfig):
    """Keys of the translation task."""

    source: str = option("en")  # language that is read; ending of the user's files
    target: str = option("de")  # language that is written
    metric: str = option("BLEU", choices=("exact match", "BLEU", "chrF"))  # that is compared
    pairs: int = option(12_000, low=400)  # numbers that are spelt out
    largest: int = option(999_999, low=999)  # of these numbers
    validation: float = option(0.05, above=0, below=0.5)  # share of the pairs, where the data bring no split
    test: float = option(0.05, above=0, below=0.5)  # share of the pairs, where the data bring no split
    test_set: str = option("test_2016_flickr", choices=("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco"))
    columns: int = option(2, low=2)  # of the user's file of pairs; those after the second are left out
    lowercase: bool = option(False)
    vocabulary: int = option(6000, low=300)  # pieces of words at most, 256 bytes among them
    longest: int = option(100, low=2)  # pieces of a sentence: longer train pairs are left out, longer sources cut
    temperature: float = option(1.0, above=0)  # of translations that the report draws: below 1 is more certain
    top_p: float = option(0.95, above=0, high=1)  # they are drawn from the likeliest pieces that make up so much
    sample_seed: int = option(0, low=0)


class Translation(Transduction):
    """Translate over subwords that both languages share, and score whole sentences of text."""

    Config = TranslationConfig
    config: TranslationConfig
    example_title = "Surprise at each piece of a reference translation"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        found = [Metric("exact match", "%", better="higher"), *(Metric(n, better="higher") for n in ("BLEU", "chrF"))]
        if config.metric == "exact match":  # short answers, often of one word: BLEU counts four in a row
            del found[1]
        found.sort(key=lambda m: m.name != config.metric)
        self.metrics = (*found, Metric(ENTROPY, "nats/piece"))

    @classmethod
    def tiny(cls) -> list[str]:
        """Few numbers, a small network."""
        return [
            *("task.pairs=400", "task.hidden_size=24", "task.embedding_size=16", "task.vocabulary=300"),
            *("train.batch_size=16", "train.steps=24", "train.evaluate_every=12"),
        ]

    @cached_property
    def texts(self) -> dict[str, list[tuple[str, str]]]:
        """Pairs of each split as they are scored: in lower case where the config says so."""
        found: dict[str, list[tuple[str, str]]] = self.dataset.load()
        if not self.config.lowercase:
            return found
        return {split: [(a.lower(), b.lower()) for a, b in pairs] for split, pairs in found.items()}

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``tokenizer``: the pieces of words, learnt from both sides of the train pairs, as JSON."""
        lines = (line for pair in self.texts["train"] for line in pair)
        return {"tokenizer": Subwords.of(lines, self.config.vocabulary, self.config.lowercase).text}

    @cached_property
    def subwords(self) -> Subwords:
        """Numbers for pieces of words."""
        return Subwords(self.fitted["tokenizer"])

    @cached_property
    def _encoded(self) -> dict[str, list[Pair]]:
        found = {}
        for split, pairs in self.texts.items():
            sides = [self.subwords.encode([pair[side] for pair in pairs]) for side in (0, 1)]
            found[split] = list(zip(*sides, strict=True))
        return found

    @cached_property
    def _kept(self) -> dict[str, list[Pair]]:
        """Pairs as models see them: long ones left out of train, and cut elsewhere."""
        longest = self.config.longest
        kept = {
            split: [(cut(source, longest), cut(target, longest)) for source, target in pairs]
            for split, pairs in self._encoded.items()
        }
        kept["train"] = [pair for pair in self._encoded["train"] if max(map(len, pair)) <= longest + 1]
        if not kept["train"]:
            raise LstmlabError(f"every train pair has more than {longest} pieces on a side; raise task.longest")
        return kept

    @property
    def symbols(self) -> int:
        return len(self.subwords)

    def pairs(self, split: str) -> Sequence[Pair]:
        return self._kept[split]

    def shown(self, symbol: int) -> str:
        return self.subwords.shown(symbol)

    def judge(self, answers: Sequence[Sequence[int]], split: str) -> dict[str, float]:
        """Return BLEU, chrF and exact matches of the text that answers stand for."""
        return self.judge_texts([self.subwords.decode(answer) for answer in answers], split)

    def judge_texts(self, answers: Sequence[str], split: str) -> dict[str, float]:
        """Return BLEU, chrF and exact matches of translations of the first sources of a split."""
        return self.score(answers, [target for _, target in self.texts[split][: len(answers)]])

    def score(self, answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Return BLEU, chrF and exact matches of translations against their references, as far as they are metrics."""
        found = scores.judge(answers, references, self.config.target)
        return {m.name: found[m.name] for m in self.metrics if m.name in found}

    def translate(self, model: nn.Module, lines: Sequence[str], beam: int | None = None) -> list[str]:
        """Return a model's translations of sentences, with the config's beam unless given."""
        return [self.subwords.decode(w.symbols) for w in self.write(model, self._read(lines), beam)]

    def variants(
        self, model: nn.Module, line: str, count: int = 5, temperature: float = 1.0, top_p: float = 1.0, seed: int = 0
    ) -> list[str]:
        """Return translations of a sentence that are drawn at random.

        Args:
            model: a trained one.
            line: the sentence.
            count: translations, some of which may be the same.
            temperature: below 1 is more certain.
            top_p: draw from the likeliest pieces that make up so much (nucleus sampling).
            seed: the same seed gives the same translations.

        Raises:
            LstmlabError: when the sentence is empty or a number out of range.
        """
        if not line.strip() or count < 1 or not temperature > 0 or not 0 < top_p <= 1 or seed < 0:
            raise LstmlabError(
                f"line={line!r}, count={count}, temperature={temperature}, top_p={top_p}, seed={seed}: expected a "
                "sentence, at least 1, above 0, above 0 and at most 1, at least 0"
            )
        drawn = self.draw(model, self._read([line])[0], count, temperature, top_p, seed)
        return [self.subwords.decode(w.symbols) for w in drawn]

    def _read(self, lines: Sequence[str]) -> list[np.ndarray]:
        return [cut(source, self.config.longest) for source in self.subwords.encode([clean(line) for line in lines])]

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Copy the source; the most frequent target; that of the nearest train source; piece by piece (IBM 1).

        The cross-entropy of an answer without probabilities is that of `AnswerAsModel`.
        """
        train = self.texts["train"]
        usual = baselines.most_frequent([target for _, target in train])
        nearest = baselines.Nearest(*zip(*train, strict=True))
        by_word = baselines.WordByWord(self.pairs("train"), self.symbols)
        answering = {
            "source copied": lambda lines: list(lines),
            "most frequent target": lambda lines: [usual] * len(lines),
            "nearest train source": nearest.answers,
            "piece by piece (IBM model 1)": lambda lines: [
                self.subwords.decode(answer) for answer in by_word.answers(self._read(lines))
            ],
        }
        found = {}
        for name, answers in answering.items():
            model = baselines.AnswerAsModel([target for _, target in self.pairs("train")], self.symbols)
            texts = {s: answers([source for source, _ in self.texts[s]]) for s in {"validation", split}}
            encoded = {s: [answer[:-1] for answer in self.subwords.encode(lines)] for s, lines in texts.items()}
            targets = {s: [target for _, target in self.pairs(s)] for s in encoded}
            model.fit(encoded["validation"], targets["validation"])
            entropy = model.cross_entropy(encoded[split], targets[split])
            found[name] = self.judge_texts(texts[split], split) | {ENTROPY: entropy}
        return found

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return attention maps, translations side by side, scores by length, and translations drawn at random."""
        return exhibits.of(self, models, colours)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return the translation of each line of a text file; an empty line has an empty one.

        Columns: source, translation, and score, by which beams are compared: nats over the length penalty.
        """
        import pandas as pd

        if not source.is_file():
            raise TextError(f"{source} is no file; expected a text file with a sentence in {self.config.source} a line")
        lines = read_lines(source)
        full = [i for i, line in enumerate(lines) if line.strip()]
        if not full:
            raise TextError(f"{source.name} holds no text; expected a sentence in {self.config.source} in each line")
        frame = pd.DataFrame({"source": lines, "translation": "", "score": np.nan})
        encoded = self.subwords.encode([clean(lines[i]) for i in full])
        long = [i + 1 for i, symbols in zip(full, encoded, strict=True) if len(symbols) > self.config.longest + 1]
        if long:
            shown = ", ".join(map(str, long[:5])) + (" and others" if len(long) > 5 else "")
            warnings.warn(
                f"{source.name}: {len(long)} line(s) were cut to {self.config.longest} pieces: {shown}", stacklevel=2
            )
        written = self.write(model, [cut(symbols, self.config.longest) for symbols in encoded])
        frame.loc[full, "translation"] = [self.subwords.decode(w.symbols) for w in written]
        frame.loc[full, "score"] = [w.score for w in written]
        return frame

    def notes(self) -> list[str]:
        """Say how many pairs and pieces there are, what is left out or cut, and how scores are computed."""
        c, longest = self.config, self.config.longest + 1
        told = []
        for split in SPLITS:
            pairs = self.pairs(split)
            sides = [sum(len(pair[side]) for pair in pairs) for side in (0, 1)]
            told.append(f"{len(pairs):,} {split} ({sides[0]:,} and {sides[1]:,} pieces)")
        notes = [
            f"Pairs, {c.source} to {c.target}: {', '.join(told)}; the end of a sentence is a piece. The vocabulary "
            f"has {self.symbols:,} pieces, learnt from train pairs by byte pair encoding."
        ]
        if left := len(self._encoded["train"]) - len(self.pairs("train")):
            notes.append(f"{left:,} train pairs with more than {c.longest} pieces on a side are left out.")
        for split in SPLITS[1:]:
            cuts = [sum(len(pair[side]) > longest for pair in self._encoded[split]) for side in (0, 1)]
            if any(cuts):
                notes.append(
                    f"{cuts[0]:,} {split} sources are cut to {c.longest} pieces; BLEU, chrF and exact match have whole "
                    f"references, the cross-entropy cuts {cuts[1]:,} of them."
                )
        if any(m.name == "BLEU" for m in self.metrics):
            notes.append(f"BLEU: sacrebleu, {scores.signature(c.target)}.")
        if c.lowercase:
            notes.append("Scores are those of text in lower case.")
        return [
            *notes,
            f"Test is translated with {c.beam} beams and a length penalty of {c.length_penalty:g}; of validation "
            f"the first {LOOKED_AT} sentences, greedily.",
        ]


def cut(symbols: np.ndarray, longest: int) -> np.ndarray:
    """Return symbols with their end, of which at most ``longest`` come before it."""
    return symbols if len(symbols) <= longest + 1 else np.append(symbols[:longest], symbols[-1])

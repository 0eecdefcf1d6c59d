"""The phonemes task: features of speech, phone error rate, and words where utterances are words."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from lstmlab.data.audio import read_sound, remarked, sound_files
from lstmlab.data.spectra import deltas, log_mel
from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Metric
from lstmlab.tasks.alignments import distance
from lstmlab.tasks.ctc import CTC, CTCConfig, Labelled
from lstmlab.tasks.ctc_decoding import most_likely

from . import exhibits
from .cepstra import FEWEST, HOP, mfcc
from .utterances import SpeechError, Utterance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WORDS = Metric("word accuracy", "%", better="higher")


@dataclass(kw_only=True)
class PhonemesConfig(CTCConfig):
    """Keys of the phonemes task."""

    utterances: int = option(320, low=48)  # that are generated
    rate: int = option(16000, low=4000, high=48000)  # Hz: recordings are brought to it
    features: str = option("mfcc", choices=("mfcc", "log_mel"))
    bands: int = option(26, low=8, high=128)  # of the mel filters
    coefficients: int = option(13, low=2, high=128)  # of MFCC
    deltas: bool = option(True)  # slopes of the features, and slopes of these, too
    validation: float = option(0.1, above=0, below=0.5)  # share of the utterances, where data bring no split
    test: float = option(0.15, above=0, below=0.5)  # share of the utterances, where data bring no split
    hold_out: str = option("speakers", choices=("speakers", "utterances"))  # what validation and test do not share
    phone_set: str = option("arpabet", choices=("arpabet", "any"))  # of own transcripts
    lexicon: str | None = option(None, file=True)  # a file as CMUdict: own transcripts hold words
    words: bool = option(False)  # each utterance is one word of a lexicon: name it too


class Phonemes(CTC):
    """Recognise phones from cepstra or mel bands; the phone error rate counts edits over all phones of a split."""

    Config = PhonemesConfig
    config: PhonemesConfig
    metrics = (Metric("PER", "%"), Metric("sequence accuracy", "%", better="higher"))
    example_title = "Phone error rate of test utterances, by their length"
    noun = "utterance"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.words:
            self.metrics = (*type(self).metrics, WORDS)
        brings = getattr(self.dataset, "brings", "")
        if brings and config.features != brings:
            raise LstmlabError(f"task.features={config.features}: {config.dataset} brings {brings} alone; set that")
        if config.features == "mfcc" and config.coefficients > config.bands:
            raise LstmlabError(
                f"task.coefficients={config.coefficients} is more than task.bands={config.bands}; expected at most that"
            )

    @classmethod
    def tiny(cls) -> list[str]:
        """A few strings at a low rate."""
        return [
            "task.utterances=48", "task.rate=8000", "task.hidden_size=16", "task.dropout=0", "train.batch_size=8",
            "train.steps=24", "train.evaluate_every=12", "train.learning_rate=0.01",
        ]  # fmt: skip

    @cached_property
    def spoken(self) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        return dict(self.dataset.load())

    def labelled(self, split: str) -> Sequence[Labelled]:
        """Return features and phones."""
        return [Labelled(u.name, self.features_of(u.signal, u.name), u.phones) for u in self.spoken[split]]

    def features_of(self, signal: np.ndarray, name: str) -> np.ndarray:
        """Return features (frames, n), one row each 10 ms, of samples, or of coefficients that a dataset brings."""
        c = self.config
        if signal.ndim == 2:
            found = signal[:, : c.coefficients]
        elif len(signal) < FEWEST * c.rate:
            raise SpeechError(f"{name} lasts {len(signal) / c.rate:.3f} s; expected {FEWEST} s, one frame, at least")
        elif c.features == "mfcc":
            found = mfcc(signal, c.rate, c.bands, c.coefficients)
        else:
            try:
                found = log_mel(signal, c.rate, c.bands, hop=HOP, window=FEWEST)
            except ValueError as error:
                raise LstmlabError(f"task.bands={c.bands}: {error}") from None
        if not c.deltas:
            return np.asarray(found, np.float32)
        slopes = deltas(found)
        return np.concatenate([found, slopes, deltas(slopes)], 1)

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """Those of `CTC`, and ``words``: how each word of the train split is said, where utterances are words."""
        return super().fitted | ({"words": self._words()} if self.config.words else {})

    def _words(self) -> dict[str, list[list[str]]]:
        said = self.dataset.pronunciations()  # type: ignore[attr-defined]
        for utterance in (u for split in self.spoken.values() for u in split):
            if utterance.text not in said:
                raise SpeechError(
                    f"task.words=true: the transcript of {utterance.name} is {utterance.text!r}; expected one word of "
                    "a lexicon. With task.words=false phones alone are recognised"
                )
        known = set(self.vocabulary_of_train)
        words = sorted({u.text for u in self.spoken["train"]})
        return {w: [list(p) for p in said[w] if known.issuperset(p)] for w in words}

    @property
    def vocabulary_of_train(self) -> list[str]:
        """The phones that occur in train."""
        return [phone for u in self.spoken["train"] for phone in u.phones]

    @cached_property
    def _said(self) -> list[tuple[str, list[str]]]:
        return [(word, phones) for word, ways in self.fitted["words"].items() for phones in ways]

    def word(self, log_probabilities: np.ndarray) -> str:
        """Return the word whose phones are the most probable ones, over all ways to say it."""
        ways = [self.vocabulary.encode(phones).tolist() for _, phones in self._said]
        return self._said[most_likely(log_probabilities, ways)][0]

    def nearest_word(self, phones: Sequence[str]) -> str:
        """Return the word that phones are nearest to, by edits."""
        return min(self._said, key=lambda way: distance(phones, way[1]))[0]

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return error rate and sequence accuracy, and where utterances are words how many are named rightly."""
        found = self.posteriors(model, [s.features for s in self.sequences(split)])
        scores = self.score([self.decode(p) for p in found], split)
        return scores | (self._named([self.word(p) for p in found], split) if self.config.words else {})

    def _named(self, words: Sequence[str], split: str) -> dict[str, float]:
        right = [word == u.text for word, u in zip(words, self.spoken[split], strict=True)]
        return {WORDS.name: 100 * float(np.mean(right))}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score what needs no network; a word is the one whose phones are nearest to those that were heard."""
        scores = {}
        for name, answers in self.answers_without_network(split).items():
            scores[name] = self.score(answers, split)
            if self.config.words:
                scores[name] |= self._named([self.nearest_word(a) for a in answers], split)
        return scores

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the phone error rate of test utterances in groups of similar length."""
        answers = {n: self.recognised(m, "test") for n, m in models.items()}
        answers |= {exhibits.HMM: self.answers_without_network("test")[exhibits.HMM]}
        exhibits.draw_by_length(ax, {n: self.alignments(a, "test") for n, a in answers.items()}, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return what models hear in an utterance, what they take for what, and error rates with intervals."""
        return exhibits.exhibits(self, models, colours)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return a row for each recording of a file or folder: file, seconds, phones, and word where there are some."""
        import pandas as pd

        if not source.exists():
            raise SpeechError(f"{source} is not there; expected a recording (.wav, .flac), or a folder of them")
        files = [source] if source.is_file() else sound_files(source)
        if not files:
            raise SpeechError(f"{source} holds no recording; expected .wav or .flac files")
        names = [f.name if f == source else str(f.relative_to(source)) for f in files]
        read = {name: read_sound(file, self.config.rate) for name, file in zip(names, files, strict=True)}
        for note in remarked({name: remarks for name, (_, remarks) in read.items()}):
            warnings.warn(note, stacklevel=2)
        found = self.posteriors(model, [self.features_of(sound.samples, n) for n, (sound, _) in read.items()])
        table = {
            "file": names,
            "seconds": [round(sound.seconds, 3) for sound, _ in read.values()],
            "phones": [" ".join(self.decode(p)) for p in found],
        }
        return pd.DataFrame(table | ({"word": [self.word(p) for p in found]} if self.config.words else {}))

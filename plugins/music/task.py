"""The music task: which of 88 keys sound in the next frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Metric
from lstmlab.tasks.next_step import NextStep, NextStepConfig
from lstmlab.tasks.task import Batch, MakeRNN

from . import baselines, exhibits
from .answers import nats, probabilities, scores
from .files import read, read_one
from .midi import midi_bytes
from .pieces import KEYS, check, key_name
from .sampling import continuation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LIKELY = 5  # notes that `predict` names
CHAIN = "keys that sound on or begin"
SHOWN = 60  # frames in the example figure


@dataclass(kw_only=True)
class MusicConfig(NextStepConfig):
    """Keys of the music task."""

    pieces: int = option(240, low=3)  # that are generated; files have as many as they have
    frames_per_beat: int = option(2, low=1, high=48)  # of a quarter note: the grid of MIDI files
    validation: float = option(0.15, above=0, below=0.5)  # share of the pieces, where data bring no split
    test: float = option(0.15, above=0, below=0.5)  # share of the pieces, where data bring no split
    mixtures: int = option(1, low=1)  # independent keys; or a mixture of so many such answers, for whole chords
    transpose: int = option(0, low=0, high=11)  # semitones by which a train piece may be moved
    primed: int = option(16, low=1)  # frames of a test piece that a sample goes on from
    sampled: int = option(32, low=1)  # frames of a sample
    temperature: float = option(1.0, above=0)  # of a sample: below 1 is more certain
    sample_seed: int = option(0, low=0)


class Music(NextStep):
    """Model piano rolls frame by frame.

    With ``mixtures=1`` each key is a Bernoulli variable by itself given all frames before, as in published
    comparisons of recurrences. That cannot say "this chord or that one". A mixture of several such answers can:
    the model answers with their weights too, and keys are independent only within each.

    The negative log-likelihood of a frame is summed over keys, and averaged over all frames of a split but the
    first of each piece, which nothing precedes: as in Bai, Kolter and Koltun (2018), arXiv:1803.01271
    (``music_test.py``).
    """

    Config = MusicConfig
    config: MusicConfig
    metrics = (Metric("NLL", "nats/frame"), Metric("frame accuracy", "%", better="higher"))
    example_title = "Surprise at each frame of an unseen piece"
    features = KEYS

    @property
    def outputs(self) -> int:
        """For each part of the mixture: its weight and the keys, all as logits."""
        return self.config.mixtures * (KEYS + 1)

    @classmethod
    def tiny(cls) -> list[str]:
        """A few canons, a small network."""
        return [
            "task.pieces=24", "task.hidden_size=16", "task.window=32", "train.batch_size=4", "train.steps=20",
            "train.evaluate_every=10",
        ]  # fmt: skip

    @cached_property
    def splits(self) -> dict[str, list[np.ndarray]]:
        """The rolls of each split."""
        splits: dict[str, list[np.ndarray]] = self.dataset.load()
        return splits

    def sequences(self, split: str) -> Sequence[np.ndarray]:
        """Return the rolls of a split."""
        return self.splits[split]

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``frequencies``: how often each key sounds in train pieces; the head's bias starts there."""
        return {"frequencies": baselines.frequencies(self.sequences("train")).tolist()}

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence over frames whose first answers are the keys' frequencies."""
        model = super().model(make_rnn)
        assert isinstance(model.head, nn.Linear)
        with torch.no_grad():
            bias = torch.logit(torch.tensor([0.5, *self.fitted["frequencies"]]))
            model.head.bias.copy_(bias.repeat(self.config.mixtures))
        return model

    def augment(self, sequence: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the piece moved by up to ``transpose`` semitones, as far as the keyboard goes."""
        if not self.config.transpose:
            return sequence
        keys = np.flatnonzero(sequence.any(0))
        low, high = max(-self.config.transpose, -int(keys[0])), min(self.config.transpose, KEYS - 1 - int(keys[-1]))
        return np.roll(sequence, int(random.integers(low, high + 1)), axis=1)

    def costs(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each frame, all keys together."""
        return nats(output, targets)

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Return the mean NLL over frames, and the frame accuracy of Bay, Ehmann and Downie (2009).

        The latter is TP / (TP + FP + FN) over all keys and frames, where a key is predicted when its probability
        is above one half.
        """
        rolls = self.sequences(split)
        answers = self.answers(model, rolls)
        costs = [self.costs_of(a, r) for a, r in zip(answers, rolls, strict=True)]
        return scores(costs, [probabilities(a).numpy() > 0.5 for a in answers], rolls)

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score keys by their frequency, keys that sound on or begin, and chords that follow one another."""
        train, rolls = self.sequences("train"), self.sequences(split)
        usual = np.array(self.fitted["frequencies"])
        chain = baselines.KeyChain(usual, train)
        answering = {
            "key frequencies": baselines.IndependentKeys(usual),
            CHAIN: chain,
            "chord bigram with back-off": baselines.ChordBigram(chain, train, self.sequences("validation")),
        }
        return {
            name: scores([m.nats(r) for r in rolls], [m.probabilities(r) > 0.5 for r in rolls], rolls)
            for name, m in answering.items()
        }

    def piece(self) -> np.ndarray:
        """Return the test piece that is shown: the first that is long enough, else the longest."""
        rolls = self.sequences("test")
        wanted = self.config.primed + self.config.sampled
        return next((r for r in rolls if len(r) >= wanted), max(rolls, key=len))

    def example(self) -> Batch:
        """Return the test piece that is shown."""
        return next(self.parts([self.piece()]))

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw, for each frame of a test piece, how many nats each model needed for it."""
        roll = self.piece()[: SHOWN + 1]
        chain = baselines.KeyChain(np.array(self.fitted["frequencies"]), self.sequences("train"))
        costs = {n: self.costs_of(self.answers(m, [roll])[0], roll) for n, m in models.items()}
        exhibits.draw_surprise(ax, {CHAIN: chain.nats(roll)} | costs, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return piano rolls of a test piece and of how each model goes on from its beginning, to see and to hear."""
        c, piece = self.config, self.piece()
        primed = min(c.primed, len(piece) - 1)
        rolls = {exhibits.TRUTH: piece[: primed + c.sampled]}
        for name, model in models.items():
            sample = self.continue_piece(model, piece[:primed], c.sampled, c.temperature, c.sample_seed)
            rolls[name] = np.concatenate([piece[:primed], sample])
        drawn = f"drawn at temperature {c.temperature:g} with seed {c.sample_seed}"
        title = f"A test piece, and how each model goes on from its beginning ({c.sampled} frames {drawn})"
        played = exhibits.players(rolls, c.frames_per_beat)
        return {title: exhibits.draw_rolls(rolls, primed, colours), "The same to listen to": played}

    def continue_piece(
        self, model: nn.Module, piece: np.ndarray | str | Path, frames: int, temperature: float = 1.0, seed: int = 0
    ) -> np.ndarray:
        """Return how a piece goes on, drawn from a model: booleans (frames, 88), without the piece itself.

        Args:
            model: a trained one.
            piece: a piano roll (frames, 88), or a file that holds one piece.
            frames: that are drawn.
            temperature: below 1 is more certain.
            seed: the same seed gives the same frames.

        Raises:
            LstmlabError: when the piece is none, or a number is out of range.
        """
        if frames < 1 or not temperature > 0 or seed < 0:
            raise LstmlabError(
                f"frames={frames}, temperature={temperature}, seed={seed}: expected at least 1, above 0, at least 0"
            )
        if isinstance(piece, str | Path):
            piece = read_one(Path(piece).expanduser(), self.config.frames_per_beat).rolls[0]
        return continuation(model, check(piece, "piece", fewest=1), frames, temperature, seed)

    def to_midi(self, roll: np.ndarray) -> bytes:
        """Return a piano roll as a MIDI file, with the task's ``frames_per_beat``."""
        return midi_bytes(check(roll, "roll", fewest=1), self.config.frames_per_beat)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return a row for each piece of a file or folder: how it surprises the model, and what would come next.

        Columns: piece, frames, NLL (nats/frame, over all frames but the first), frame accuracy (%), and the most
        probable notes of the frame after the last with their probabilities.
        """
        import pandas as pd

        pieces, rows = read(source, self.config.frames_per_beat), []
        for name, roll in zip(pieces.names, pieces.rolls, strict=True):
            ahead = self.answers(model, [np.concatenate([roll, roll[-1:]])])[0]  # its last answer looks beyond the end
            answer, after = ahead[:-1], probabilities(ahead[-1]).numpy()
            best = np.argsort(-after)[:LIKELY]
            rows.append(
                {
                    "piece": name,
                    "frames": len(roll),
                    **scores([self.costs_of(answer, roll)], [probabilities(answer).numpy() > 0.5], [roll]),
                    "next": ", ".join(f"{key_name(int(k))} {after[k]:.2f}" for k in best),
                }
            )
        return pd.DataFrame(rows)

    def notes(self) -> list[str]:
        """Say how many pieces and frames there are, and what is read in parts or moved."""
        lengths = {split: [len(roll) for roll in rolls] for split, rolls in self.splits.items()}
        sizes = ", ".join(f"{len(found)} {split} ({sum(found):,} frames)" for split, found in lengths.items())
        told = [f"Pieces: {sizes}; the first frame of each is given, not predicted."]
        if long := sum(n - 1 > self.config.window for found in lengths.values() for n in found):
            told.append(f"{long} pieces are longer than {self.config.window} frames: gradients stop where a part ends.")
        if self.config.transpose:
            told.append(f"Train pieces are moved by up to {self.config.transpose} semitones, anew in each epoch.")
        return told

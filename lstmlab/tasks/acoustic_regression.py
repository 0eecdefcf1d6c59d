"""Answering each frame of a sequence with a vector: acoustic models, and whatever else maps frames to frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.bucketing import by_length, pad, within
from lstmlab.tasks.task import Batch, Task

Pair = tuple[np.ndarray, np.ndarray]  # what is read (frames, features), and what is answered (frames, outputs)


@dataclass(kw_only=True)
class FramesConfig(TaskConfig):
    """Keys of a task that answers each frame."""

    window: int = option(
        low=2
    )  # frames of a train sequence at most: longer ones are read in parts, cut anew each epoch


class AcousticRegression(Task):
    """Answer each frame with a vector; the loss is the mean squared error of vectors in units of their spread.

    Means and spreads of each entry are those of the train split: ``fitted`` has them as ``mean`` and ``std``. A
    model sees whole sequences when it answers. In training it sees parts of ``window`` frames at most, of nearly
    equal length, so that little is computed on padding.
    """

    config: FramesConfig

    @abstractmethod
    def features(self, split: str) -> Sequence[np.ndarray]:
        """Return what is read of each sequence of a split, (frames, features), float32."""

    @abstractmethod
    def vectors(self, split: str) -> Sequence[np.ndarray]:
        """Return what is answered, (frames, outputs), for each sequence of a split."""

    def scales(self) -> dict[str, list[float]]:
        """Return ``mean`` and ``std`` of each entry of the train vectors, for `fitted`."""
        vectors = np.concatenate(self.vectors("train")).astype(np.float64)
        return {"mean": vectors.mean(0).tolist(), "std": np.maximum(vectors.std(0), 1e-3).tolist()}

    def normalised(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors in units of their spread."""
        return ((vectors - np.array(self.fitted["mean"])) / np.array(self.fitted["std"])).astype(np.float32)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield whole sequences; with ``random`` their parts, cut anew, in an order of their own."""
        pairs = list(zip(self.features(split), self.vectors(split), strict=True))
        if random is not None:
            pairs = [part for pair in pairs for part in parts(pair, self.config.window, random)]
        for rows in by_length([len(features) for features, _ in pairs], batch_size, random):
            yield self.batch(*zip(*(pairs[i] for i in rows), strict=True))

    def batch(self, features: Sequence[np.ndarray], vectors: Sequence[np.ndarray]) -> Batch:
        """Return sequences side by side."""
        inputs, lengths = pad(features)
        return Batch(inputs, pad([self.normalised(v) for v in vectors])[0], lengths)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean squared error over frames and entries."""
        assert batch.lengths is not None
        real = within(batch.lengths, batch.targets.shape[1])
        return nn.functional.mse_loss(output[real], batch.targets[real])

    def weight(self, batch: Batch) -> float:
        """Return the number of frames."""
        assert batch.lengths is not None
        return float(batch.lengths.sum())

    @torch.no_grad()
    def answers(self, model: nn.Module, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return a model's vectors (frames, outputs), in their own units, for features (frames, ...).

        Each sequence is answered by itself: a few long ones side by side would be padding for a good part.
        """
        mean, std = (np.array(self.fitted[key], dtype=np.float32) for key in ("mean", "std"))
        return [model(torch.from_numpy(s)[None])[0][0].numpy() * std + mean for s in sequences]


def parts(pair: Pair, window: int, random: np.random.Generator) -> list[Pair]:
    """Return a sequence in as few parts of at most ``window`` frames as will do; where it is cut is drawn."""
    frames = len(pair[0])
    count = -(-frames // window)
    free = random.multinomial(count * window - frames, [1 / count] * count)  # fewer than a window in all
    edges = np.cumsum([0, *(window - free)]).tolist()
    return [(pair[0][a:b], pair[1][a:b]) for a, b in pairwise(edges)]

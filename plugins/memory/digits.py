"""Handwritten digits, read as sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.schema import TaskConfig, option
from lstmlab.tasks import Batch
from lstmlab.tasks.classification import Classification, as_batch

if TYPE_CHECKING:
    from .data import Split

FITTED_ON = 10_000  # images that the logistic regression is fitted on, at most


@dataclass(kw_only=True)
class DigitsConfig(TaskConfig):
    """Keys of the task."""

    order: str = option("rows", choices=("rows", "pixels", "permuted"))  # what a step is
    limit: int | None = option(None, low=100)  # training images that are used, the first ones; null: all
    shift: int = option(0, low=0, high=4)  # pixels by which training images are moved at random, each way


class Digits(Classification):
    """Name a digit that is read row by row, pixel by pixel, or pixel by pixel in a fixed random order.

    Le, Jaitly and Hinton (2015), https://arxiv.org/abs/1504.00941.
    """

    Config = DigitsConfig
    config: DigitsConfig
    classes = tuple("0123456789")

    @classmethod
    def tiny(cls) -> list[str]:
        """Few images and steps."""
        return ["task.limit=200", "task.hidden_size=16", "train.steps=60", "train.evaluate_every=30"]

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Images (count, side, side) and digits of each split."""
        found: dict[str, Split] = self.dataset.load()
        images, labels = found["train"]
        return found | {"train": (images[: self.config.limit], labels[: self.config.limit])}

    def sequences(self, images: np.ndarray) -> np.ndarray:
        """Return (count, steps, features) of images, in the order in which they are read."""
        if self.config.order == "rows":
            return images
        pixels = images.reshape(len(images), -1, 1)
        if self.config.order == "permuted":
            pixels = pixels[:, np.random.default_rng(0).permutation(pixels.shape[1])]  # the same for every run
        return pixels

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``features``: values of a step, a row or one pixel."""
        return {"features": int(self.sequences(self.splits["train"][0][:1]).shape[2])}

    @property
    def features(self) -> int:  # type: ignore[override]
        """Values of a step."""
        return int(self.fitted["features"])

    def labels(self, split: str) -> np.ndarray:
        """Return the digits of a split."""
        return self.splits[split][1]

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield images, shuffled if ``random`` is given."""
        images, labels = self.splits[split]
        order = np.arange(len(images)) if random is None else random.permutation(len(images))
        for at in range(0, len(images), batch_size):
            chosen = order[at : at + batch_size]
            seen = images[chosen] if random is None else _moved(images[chosen], self.config.shift, random)
            yield as_batch(self.sequences(_grey(seen)), labels[chosen])

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Add a logistic regression on all pixels, which sees the image at once."""
        from sklearn.linear_model import LogisticRegression

        images, labels = (array[:FITTED_ON] for array in self.splits["train"])
        model = LogisticRegression(max_iter=200).fit(_grey(images).reshape(len(images), -1), labels)
        images, truth = self.splits[split]
        answers = np.zeros((len(truth), len(self.classes)))
        answers[:, model.classes_] = model.predict_proba(_grey(images).reshape(len(images), -1))
        name = f"logistic regression on {len(labels):,} images"
        return super().baselines(split) | {name: self.score(answers, truth)}

    def notes(self) -> list[str]:
        """Say what a step is and how many images there are."""
        _, steps, features = self.sequences(self.splits["train"][0][:1]).shape
        counts = ", ".join(f"{len(labels):,} {split}" for split, (_, labels) in self.splits.items())
        return [f"An image is {steps} steps of {features} pixel(s), in the order {self.config.order!r}: {counts}."] + (
            [f"Training images are moved at random by up to {self.config.shift} pixel(s)."] if self.config.shift else []
        )


def _moved(images: np.ndarray, by: int, random: np.random.Generator) -> np.ndarray:
    """Return images moved by up to ``by`` pixels up, down, left or right; what comes in is empty."""
    wide = np.pad(images, ((0, 0), (by, by), (by, by)))
    corners = random.integers(0, 2 * by + 1, (len(images), 2))
    side = images.shape[1]
    return np.stack([image[y : y + side, x : x + side] for image, (y, x) in zip(wide, corners, strict=True)])


def _grey(images: np.ndarray) -> np.ndarray:
    """Return grey levels from 0 to 1."""
    return images.astype("float32") / 255 if images.dtype == np.uint8 else images

"""Drawing how a piece goes on from a model."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .answers import parts
from .pieces import KEYS

LARGEST = 30.0  # logits are cut to this size, so that a small temperature stays finite


@torch.no_grad()
def continuation(model: nn.Module, roll: np.ndarray, frames: int, temperature: float, seed: int) -> np.ndarray:
    """Return ``frames`` further frames (frames, 88) after those of ``roll``.

    Of each answer a part of the mixture is drawn by its weight, then each key by itself; the frame is then read by
    the model as if it had been played.

    Args:
        model: called as ``model(inputs, state)``; its answer is for the next frame.
        roll: booleans (frames, 88), at least one frame.
        frames: that are drawn.
        temperature: logits are divided by it: below 1 is more certain, above 1 less.
        seed: the same seed gives the same frames.
    """
    random = np.random.default_rng(seed)
    read, state = torch.from_numpy(roll.astype(np.float32))[None], None
    drawn = np.zeros((frames, KEYS), bool)
    for at in range(frames):
        output, state = model(read, state)
        weights, keys = parts(output[0, -1].double())
        chosen = random.choice(len(weights), p=torch.softmax(weights / temperature, -1).numpy())
        logits = (keys[chosen] / temperature).clamp(-LARGEST, LARGEST)
        drawn[at] = random.random(KEYS) < torch.sigmoid(logits).numpy()
        read = torch.from_numpy(drawn[at].astype(np.float32))[None, None]
    return drawn

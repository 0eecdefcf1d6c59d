"""What the numbers that a model answers with say about the keys of the next frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .pieces import KEYS


def parts(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log weights (..., mixtures) and the logits of keys (..., mixtures, 88) of an answer."""
    both = output.unflatten(-1, (-1, KEYS + 1))
    return torch.log_softmax(both[..., 0], -1), both[..., 1:]


def probabilities(output: Tensor) -> Tensor:
    """Return how probable each key is (..., 88), whatever the others do."""
    weights, keys = parts(output.double())
    return (weights.exp()[..., None] * torch.sigmoid(keys)).sum(-2)


def nats(output: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood (...) of frames ``targets`` (..., 88), all keys together."""
    weights, keys = parts(output)
    # log of sigmoid(k) where a key sounds, of 1 - sigmoid(k) = sigmoid(-k) where it does not
    each = torch.einsum("...mk,...k->...m", keys, targets) - nn.functional.softplus(keys).sum(-1)
    return -torch.logsumexp(weights + each, -1)


def scores(
    costs: Sequence[np.ndarray], predicted: Sequence[np.ndarray], rolls: Sequence[np.ndarray]
) -> dict[str, float]:
    """Return the metrics from the costs (frames - 1,) and predicted keys (frames - 1, 88) of each piece."""
    truth, answer = np.concatenate([roll[1:] for roll in rolls]), np.concatenate(predicted)
    hits, either = int((answer & truth).sum()), int((answer | truth).sum())
    return {"NLL": float(np.concatenate(costs).mean()), "frame accuracy": 100 * hits / max(either, 1)}

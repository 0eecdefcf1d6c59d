"""The processes, called ranks, that train one model together, and what they say to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor

# How long ranks wait for one that says nothing, because it evaluates. One that dies is noticed at once.
PATIENCE = timedelta(hours=2)


class Group:
    """All ranks, as one of them sees them. What they say to each other besides gradients is small.

    Attributes:
        rank: number of this process; the first, 0, evaluates and records.
        size: how many there are.
        wishes: what this rank would have all of them do after the same step: "save" a checkpoint, "stop".
        agreed: whether any rank had that wish at the last `total`; equal on all ranks.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.wishes = {"save": False, "stop": False}
        self.agreed = dict(self.wishes)

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks, and settle what is agreed."""
        sums = torch.tensor([value, *self.wishes.values()], dtype=torch.float64)
        dist.all_reduce(sums)
        value, *wishing = sums.tolist()
        self.agreed = {wish: count > 0 for wish, count in zip(self.wishes, wishing, strict=True)}
        return value

    def told(self, value: Any) -> Any:
        """Return what rank 0 gives, JSON-safe; what the others give does not matter."""
        text = json.dumps(value).encode() if self.first else b""
        length = torch.tensor(len(text))
        dist.broadcast(length, 0)
        data = _bytes(text if self.first else bytes(int(length)))
        dist.broadcast(data, 0)
        return json.loads(data.numpy().tobytes())

    def gathered(self, tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return what each rank gives."""
        data = _bytes(save(tensors))
        lengths = [torch.tensor(0) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor(len(data)))
        longest = max(int(n) for n in lengths)
        padded = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        dist.all_gather(padded, torch.nn.functional.pad(data, (0, longest - len(data))))
        return [load(p[: int(n)].numpy().tobytes()) for p, n in zip(padded, lengths, strict=True)]


@contextmanager
def joined(store: Any, rank: int, size: int, device: str = "cpu") -> Iterator[Group]:
    """Be a rank for a block.

    Args:
        store: where the ranks find each other's addresses.
        rank: number of this process.
        size: how many there are.
        device: kind of device that the model is on; a GPU is the current one of this process.
    """
    # What ranks say is on the CPU, gradients are where the model is.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Group()
    finally:
        dist.destroy_process_group()


def _bytes(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)

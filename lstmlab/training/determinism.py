"""Same seed, same machine: the same numbers to the last bit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lstmlab.errors import TrainingError
from lstmlab.schema import TrainConfig


def check_device(config: TrainConfig) -> None:
    """Prepare the device that a training asks for.

    Raises:
        TrainingError: when this machine has not as many.
    """
    if config.device == "cpu":
        return
    if torch.cuda.device_count() < config.devices:
        raise TrainingError(
            f"train.device={config.device} train.devices={config.devices}: PyTorch finds {torch.cuda.device_count()} "
            "GPUs here; leave train.device=cpu, or give it more"
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic


@contextmanager
def deterministic(seed: int, threads: int) -> Iterator[None]:
    """Seed torch, fix its threads (sums depend on their number), and put everything back after."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])

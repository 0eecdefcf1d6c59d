"""All that a training needs to go on with the same numbers, as tensors and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Snapshot:
    """A training between two steps.

    Attributes:
        tensors: by name; weights, their best version, the optimiser's averages, carried states, torch's generator.
        facts: JSON-safe; step, best value, position in the data.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``name.``, without that."""
        return {k.removeprefix(f"{name}."): v for k, v in self.tensors.items() if k.startswith(f"{name}.")}


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of a model's weights and buffers."""
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def averages(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return copies of an optimiser's tensors, called NUMBER.NAME."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": v.detach().clone() for i, entry in state.items() for k, v in entry.items()}


def set_averages(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the tensors that `averages` told."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def generators(device: str) -> dict[str, Tensor]:
    """Return the states of torch's generators, of the CPU and of the device in use."""
    found = {"generator": torch.get_rng_state()}
    return found if device == "cpu" else found | {f"generator.{device}": torch.cuda.get_rng_state()}


def set_generators(tensors: dict[str, Tensor]) -> None:
    """Give torch's generators the states that `generators` told."""
    torch.set_rng_state(tensors["generator"])
    if "generator.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator.cuda"])


def flatten(state: Any) -> tuple[list[Tensor], Any]:
    """Return the tensors of nested tuples, and a JSON-safe outline of how they are nested."""
    if state is None:
        return [], None
    if isinstance(state, Tensor):
        return [state], 1
    parts = [flatten(s) for s in state]
    return [t for tensors, _ in parts for t in tensors], [outline for _, outline in parts]


def nest(tensors: list[Tensor], outline: Any) -> Any:
    """Return what `flatten` was given; takes the tensors from the front of the list."""
    if outline is None:
        return None
    return tensors.pop(0) if outline == 1 else tuple(nest(tensors, part) for part in outline)

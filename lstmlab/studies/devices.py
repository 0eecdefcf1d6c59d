"""Runs on several devices that cannot be done as they are asked for, refused before any work starts."""

from __future__ import annotations

import torch

from lstmlab import registry
from lstmlab.schema import RunConfig
from lstmlab.validation import ConfigError


def refuse_devices(config: RunConfig, rendezvous: str | None = None) -> None:
    """Say what stands against a run's ``train.devices`` and ``train.nodes``.

    Args:
        config: of the run.
        rendezvous: where its nodes meet; None in a study, whose launchers give each run one node.

    Raises:
        ConfigError: with what to do.
    """
    train = config.train
    if train.ranks == 1:
        return
    asked = f"train.devices={train.devices} train.nodes={train.nodes}"
    if train.nodes > 1 and rendezvous is None:
        raise ConfigError(
            f"train.nodes={train.nodes}: the nodes must know where to meet, and a study's runs have one node each. "
            "Call `lstmlab run` on each node with the same overrides, rendezvous=host:port (an address of one of "
            "them) and an outputs= that all of them see, as `srun lstmlab run … rendezvous=$(hostname):29400` does."
        )
    if train.nodes > 1 and rendezvous:
        parsed_address(rendezvous)
    if registry.cell.get(config.cell.name).norm == "batch":
        raise ConfigError(
            f"{asked}: the cell {config.cell.name!r} takes statistics over whole batches, of which a device sees only "
            "a part: leave both at 1."
        )
    if not torch.distributed.is_available():
        raise ConfigError(f"{asked}: this build of PyTorch has no torch.distributed: leave both at 1.")


def parsed_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``.

    Raises:
        ConfigError: when it is something else.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ConfigError(f"rendezvous={address!r}: expected host:port, as in rendezvous=node1:29400")
    return host.strip("[]"), int(port)

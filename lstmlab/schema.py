"""Structured configs: what each key of a config may hold. `lstmlab.config` checks against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any


def option(
    default: Any = MISSING,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    file: bool = False,
    factory: Callable[[], Any] | None = None,
) -> Any:
    """Declare a config key with what it allows.

    Args:
        default: without one, the YAML file has to give the value.
        low: smallest allowed value.
        above: a value that it must exceed.
        high: largest allowed value.
        below: a value that it must stay under.
        choices: the allowed words.
        file: it names a file that must be there, and whose content is part of a run's identity.
        factory: makes the default where it is a list.
    """
    limits = {"low": low, "above": above, "high": high, "below": below, "choices": choices}
    metadata = {k: v for k, v in limits.items() if v is not None} | ({"file": True} if file else {})
    return field(default_factory=factory, metadata=metadata) if factory else field(default=default, metadata=metadata)


@dataclass
class CellConfig:
    """Group ``cell``: which recurrence, and how large."""

    name: str = option()
    hidden_size: int | None = option(None, low=1)  # None: as many units as the budget allows
    num_layers: int = option(1, low=1)
    dropout: float = option(0.0, low=0, below=1)
    forget_bias: float = option(1.0)
    proj_size: int = option(0, low=0)
    variational: bool = option(False)
    recurrent_dropout: float = option(0.0, low=0, below=1)
    zoneout: float = option(0.0, low=0, below=1)
    weight_drop: float = option(0.0, low=0, below=1)
    learn_initial: bool = option(False)


@dataclass
class EngineConfig:
    """Group ``engine``: what computes the recurrences."""

    name: str = option(choices=("auto", "fused", "reference"))
    checkpoint_every: int | None = option(None, low=1)


@dataclass(kw_only=True)
class TaskConfig:
    """What every task's group has; a task's own schema extends it."""

    name: str = option()
    dataset: str = option()
    hidden_size: int = option(low=1)  # of a vanilla cell: its parameters are everybody's budget
    variant: str = option("")  # tells apart two configs of one task in tables and folders
    path: str | None = option(None)  # the user's own file, for datasets that read one

    @property
    def label(self) -> str:
        """Name of the task in tables and folders: with its variant, if it is one."""
        return f"{self.name}_{self.variant}" if self.variant else self.name


@dataclass
class TrainConfig:
    """Group ``train``: one training, from the first step to the best weights."""

    steps: int = option(low=1)
    batch_size: int = option(low=1)
    learning_rate: float = option(above=0)
    schedule: str = option("cosine", choices=("constant", "cosine"))
    weight_decay: float = option(0.0, low=0)
    clip_norm: float | None = option(1.0, above=0)
    clip_value: float | None = option(None, above=0)
    evaluate_every: int = option(50, low=1)
    patience: int | None = option(None, low=1)  # evaluations without a better value, then stop
    threads: int = option(1, low=1)
    device: str = option("cpu", choices=("cpu", "cuda"))
    devices: int = option(1, low=1)
    nodes: int = option(1, low=1)

    @property
    def cores(self) -> int:
        """Cores that a run takes on each of its nodes."""
        return self.threads * self.devices

    @property
    def ranks(self) -> int:
        """Processes that train together."""
        return self.devices * self.nodes


@dataclass
class StudyConfig:
    """Group ``study``: which runs belong together, and the question that they answer."""

    name: str = option()
    question: str = option()
    tasks: list[str] = option()
    cells: list[str] = option()
    seeds: list[int] = option()
    overrides: list[str] = option()
    notebook: str = option("30_compare.ipynb")  # what renders the study
    search: str | None = option(None, choices=("random", "tpe"))  # None: all cells are trained with the same settings
    space: list[str] = option(factory=list)  # what a search tries
    trials: int = option(16, low=1)  # of each cell on each task
    batch: int = option(4, low=1)  # trials that are asked for at a time
    search_seed: int = option(1000, low=0, high=2**31 - 1)  # of the trials, and of what they try
    prune_after: int | None = option(4, low=1)  # trials that set the pace; None: every trial goes to its end
    prune_warmup: float = option(0.5, low=0, below=1)  # share of a run in which it is not left
    storage: str | None = option(None)  # of the trials; None: a file in the study's folder


@dataclass
class LaunchConfig:
    """Group ``launch``: what does the runs of a study, and what one of them may use."""

    name: str = option(choices=("processes", "serial", "slurm", "dask"))
    memory_limit: float | None = option(None, above=0)  # GiB that a run may use
    time_limit: float | None = option(None, above=0)  # minutes that a run may take


@dataclass
class SlurmConfig(LaunchConfig):
    """Group ``launch``, choice ``slurm``: what the jobs of a cluster ask for."""

    cluster: str | None = option(None, choices=("slurm", "local"))  # None: Slurm where it is installed
    pack: int | None = option(None, low=1)  # runs per job; None: an equal share for each of the workers
    partition: str | None = option(None)
    account: str | None = option(None)
    minutes: int = option(60, low=5)  # that a job may take
    cpus: int | None = option(None, low=1)  # per job; None: the threads of a run
    memory: float | None = option(None, above=0)  # GB per job
    gpus: int = option(0, low=0)  # per job
    setup: list[str] = option(factory=list)  # shell commands before each job
    options: list[str] = option(factory=list)  # further ones of sbatch, as name=value


@dataclass
class DaskConfig(LaunchConfig):
    """Group ``launch``, choice ``dask``: which cluster, what a run asks of its workers, and what its jobs ask for."""

    address: str | None = option(None)  # of a scheduler; None: a cluster on this machine, or by `jobqueue`
    jobqueue: str | None = option(None, choices=("slurm", "pbs", "lsf"))
    resources: dict[str, float] | None = option(None)  # that a run takes of those that its worker offers
    wait: float | None = option(None, above=0)  # minutes for a worker that can do runs; None: see the launcher
    queue: str | None = option(None)  # these four, of `jobqueue`; None: what Dask's own configuration says
    cpus: int | None = option(None, low=1)  # per job
    memory: float | None = option(None, above=0)  # GB per job
    minutes: int | None = option(None, low=1)  # that a job may take


# Of the launchers that have keys of their own.
LAUNCHES: dict[str, type[LaunchConfig]] = {"slurm": SlurmConfig, "dask": DaskConfig}


@dataclass
class ReportConfig:
    """Group ``report``: how results are rendered."""

    confidence: float = option(0.95, above=0, below=1)


@dataclass
class TopConfig:
    """Keys outside all groups."""

    seed: int = option(0, low=0, high=2**31 - 1)
    outputs: str | None = option(None)  # None: `lstmlab.paths.outputs` decides
    workers: int | None = option(None, low=1)  # None: one per core
    checkpoint_minutes: float = option(1.0, above=0)
    trackers: list[str] = option(factory=list, choices=("tensorboard", "mlflow"))
    rendezvous: str | None = option(None)  # of the nodes of one run


@dataclass
class RunConfig:
    """All that decides what a run computes; its hash is part of the run's id."""

    cell: CellConfig
    task: Any  # the schema of the task that is named in it
    train: TrainConfig
    engine: EngineConfig
    seed: int

"""Composing a config with Hydra, and refusing what is wrong in it before anything starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lstmlab import paths, plugins, registry
from lstmlab.errors import nearest
from lstmlab.schema import (
    LAUNCHES,
    CellConfig,
    EngineConfig,
    LaunchConfig,
    ReportConfig,
    RunConfig,
    StudyConfig,
    TopConfig,
    TrainConfig,
)
from lstmlab.validation import ConfigError, join, typed

REFUSALS = (HydraException, OmegaConfBaseException, YAMLError)  # what Hydra raises for a bad config
GROUPS = ("cell", "task", "train", "engine", "study", "launch", "report")


@dataclass
class Settings:
    """A checked config: one run, and the study and report that it may belong to."""

    run: RunConfig
    study: StudyConfig
    launch: LaunchConfig
    report: ReportConfig
    outputs: str | None
    workers: int | None
    checkpoint_minutes: float
    trackers: list[str]
    rendezvous: str | None


class PluginConf(SearchPathPlugin):
    """Adds the conf folder of every plugin to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append ours and the plugins' folders."""
        for folder in plugins.conf_folders():
            search_path.append("lstmlab", f"file://{folder}")


Plugins.instance().register(PluginConf)


def _store_fallbacks() -> None:
    """Let a registered cell or task do without a file in conf/cell or conf/train."""
    fallbacks = {("cell", name): dataclasses.asdict(CellConfig(name)) for name in registry.cell}
    fallbacks |= {("train", name): {"defaults": ["default"]} for name in registry.task}
    folders = [paths.assets("conf"), *plugins.conf_folders()]
    for (group, name), node in fallbacks.items():
        if not any((folder / group / f"{name}.yaml").is_file() for folder in folders):
            ConfigStore.instance().store(name, node, group=group, provider="lstmlab")


def parse(overrides: Iterable[str]) -> list[Override]:
    """Parse overrides as Hydra does, and refuse additions and deletions of keys."""
    texts = list(overrides)
    try:
        parsed = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        raise ConfigError(f"An override cannot be read: {_first_line(error)} Write key=value.") from None
    for override in parsed:
        if not override.key_or_group:
            raise ConfigError(f"{override.input_line!r} names no key. Write key=value.")
        if override.is_add() or override.is_delete():
            raise ConfigError(
                f"{override.input_line!r}: keys cannot be added or removed, only set: "
                f"write {override.key_or_group}=value."
            )
    return parsed


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Return the config that ``overrides`` describe.

    Raises:
        ConfigError: for an unknown key or choice, with what is allowed and the nearest name.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line!r} holds several values. One run takes one value: use `lstmlab run -m`, "
                "or `lstmlab study` for task, cell and seed."
            )
    _store_fallbacks()
    texts = [str(o.input_line) for o in parsed]
    with hydra.initialize_config_dir(str(paths.assets("conf")), version_base="1.3"):
        try:
            return hydra.compose("config", texts)
        except REFUSALS as error:
            with suppress(*REFUSALS):
                _explain(parsed)
            raise ConfigError(f"The config cannot be composed: {error}") from None


def check(config: DictConfig) -> Settings:
    """Return the config as typed objects.

    Raises:
        ConfigError: for a value of the wrong type or out of range, or an unknown key in a file.
    """
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"The config cannot be resolved: {_first_line(error)}") from None
    top = typed(TopConfig, {k: v for k, v in plain.items() if k not in GROUPS}, "")
    return Settings(
        run=check_run({k: plain[k] for k in ("cell", "task", "train", "engine", "seed")}),
        study=typed(StudyConfig, plain["study"], "study"),
        launch=typed(LAUNCHES.get(plain["launch"].get("name"), LaunchConfig), plain["launch"], "launch"),
        report=typed(ReportConfig, plain["report"], "report"),
        outputs=top.outputs,
        workers=top.workers,
        checkpoint_minutes=top.checkpoint_minutes,
        trackers=list(dict.fromkeys(top.trackers)),
        rendezvous=top.rendezvous,
    )


def check_run(plain: Mapping[str, Any], files: bool = True) -> RunConfig:
    """Return the part of a config that one run depends on, from plain dictionaries.

    Args:
        plain: the groups, and the seed.
        files: those that keys name must be there; a finished run needs them no more.
    """
    missing = [key for key in ("cell", "task", "train", "engine", "seed") if key not in plain]
    if missing:
        raise ConfigError(f"The config of the run does not give {', '.join(missing)}.")
    task: Any = typed(registry.task.get(plain["task"].get("name")).Config, plain["task"], "task", files)
    registry.cell.entry(plain["cell"].get("name"))
    registry.dataset.entry(task.dataset)
    return RunConfig(
        cell=typed(CellConfig, plain["cell"], "cell"),
        task=task,
        train=typed(TrainConfig, plain["train"], "train"),
        engine=typed(EngineConfig, plain["engine"], "engine"),
        seed=typed(TopConfig, {"seed": plain["seed"]}, "").seed,
    )


def _explain(parsed: list[Override]) -> None:
    """Raise an error that says more than Hydra's, if the fault is an unknown choice or key."""
    for override in parsed:
        if override.key_or_group in GROUPS:
            _check_choice(override)
    chosen = hydra.compose("config", [str(o.input_line) for o in parsed if o.key_or_group in GROUPS])
    for override in parsed:
        if override.key_or_group not in GROUPS and not override.key_or_group.startswith(("hydra.", "hydra/")):
            _check_key(chosen, override)


def _check_choice(override: Override) -> None:
    group, name = override.key_or_group, str(override.value())
    known = GlobalHydra.instance().config_loader().get_group_options(group)
    if name not in known:
        raise ConfigError(
            f"{group}={name}: there is no {group} called {name!r}.{nearest(name, known)} Known: {', '.join(known)}."
        )


def _check_key(chosen: DictConfig, override: Override) -> None:
    key = override.key_or_group
    node: Any = chosen
    done: list[str] = []
    for part in key.split("."):
        allowed = [str(k) for k in node] if isinstance(node, DictConfig) else []
        if part not in allowed:
            where = ".".join(done)
            full = [join(where, k) for k in allowed]
            raise ConfigError(
                f"{override.input_line}: there is no key {key!r}{_launchers(key) or '.' + nearest(key, full)} "
                f"Allowed{' in ' + where if where else ''}: {', '.join(full) or 'nothing below'}."
            )
        node = node[part]
        done.append(part)


def _launchers(key: str) -> str:
    """Return which launchers have a key that the chosen one has not."""
    names = [n for n, schema in LAUNCHES.items() if key in {f"launch.{f.name}" for f in dataclasses.fields(schema)}]
    return f" here; it is one of {' and '.join(f'launch={name}' for name in names)}." if names else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

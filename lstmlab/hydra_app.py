"""`lstmlab run`: Hydra's own application, with every job checked before the first one starts.

Hydra's launchers (``hydra/launcher=joblib``, ``submitit_local``, ``submitit_slurm``) do the jobs of ``-m`` in other
processes, so what a job ends with comes back as a file.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from lstmlab import config, paths
from lstmlab.errors import LstmlabError, TrainingError
from lstmlab.machine import cores
from lstmlab.studies.files import scratch, write
from lstmlab.studies.run import Run, run_settings
from lstmlab.validation import ConfigError

PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "submitit_slurm": "hydra_plugins.hydra_submitit_launcher",
}  # launchers of the extra multirun
TRACES = "HYDRA_FULL_ERROR"  # in the environment: Hydra raises what is raised


@dataclass(frozen=True)
class Outcome:
    """What a job ended with.

    Attributes:
        code: the exit code.
        said: what it printed.
        logged: that went to the log of a cluster's job, not to the user.
    """

    code: int
    said: str
    logged: bool

    def show(self) -> None:
        """Print it where it belongs."""
        print(self.said, file=sys.stderr if self.code else sys.stdout, flush=True)


def main(arguments: list[str]) -> int:
    """Run Hydra with ``arguments`` and return the exit code of the worst job.

    Raises:
        LstmlabError: when any job's config is wrong, or a launcher is not installed; then none has started.
    """
    given = get_args_parser().parse_args(arguments)
    outcomes: list[Outcome] = []
    folder: Path | None = None
    if not (given.help or given.hydra_help):
        _refuse_launch(given.overrides)
        launcher = _launcher(given.overrides)
        jobs = _jobs(given.overrides) if given.multirun else [given.overrides]
        checked = [config.check(config.compose(overrides)) for overrides in jobs]
        if given.multirun:
            if any(settings.run.train.nodes > 1 for settings in checked):
                raise ConfigError("train.nodes: a multirun uses one node; call `lstmlab run` for each run")
            folder = paths.outputs(checked[-1].outputs) / "multirun"
            at = arguments.index(given.overrides[0]) if given.overrides else len(arguments)
            needed = max(settings.run.train.cores for settings in checked)
            arguments = [*arguments[:at], *_defaults(folder, launcher, needed), *arguments[at:]]
    with scratch(folder, ".outcomes-") if folder else nullcontext() as reports:
        multirun = folder is not None

        @hydra.main(version_base="1.3", config_path=str(paths.assets("conf")), config_name="config")
        def job(composed: DictConfig) -> float | None:
            outcome, value = _do(composed, multirun)
            outcome.show()
            if reports is None:
                outcomes.append(outcome)
            else:
                _report(outcome, reports)
            return value

        sys.argv = ["lstmlab run", *arguments]
        try:
            with _whole_errors():
                job()
        finally:
            outcomes += _reported(reports)
            for outcome in outcomes:
                if outcome.logged:
                    outcome.show()
    return max((outcome.code for outcome in outcomes), default=0)


def _do(composed: DictConfig, patient: bool) -> tuple[Outcome, float | None]:
    """Do one job; return what it ended with, and the value of its test metric."""
    logged = "SUBMITIT_EXECUTOR" in os.environ
    try:
        done = run_settings(config.check(composed), patient)
    except LstmlabError as error:
        return Outcome(error.exit_code, f"lstmlab: {error}", logged), None
    return Outcome(0, _text(done), logged), float(done.result["value"])


def _jobs(overrides: list[str]) -> list[list[str]]:
    """Return the overrides of every job of a multirun."""
    choices = [
        [f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in config.parse(overrides)
    ]
    return [list(job) for job in itertools.product(*choices)]


def _refuse_launch(overrides: list[str]) -> None:
    """Refuse to do here what a cluster was meant to do."""
    for override in config.parse(overrides):
        if override.key_or_group.split(".")[0] == "launch":
            raise ConfigError(
                f"{override.input_line}: `lstmlab run` does its run in this process; launchers are for studies, as in "
                "`lstmlab study study=variants launch=slurm`. Hydra's own are chosen with -m hydra/launcher=NAME."
            )


def _launcher(overrides: list[str]) -> str:
    """Return the name of Hydra's launcher that is chosen.

    Raises:
        LstmlabError: when it is one whose plugin is not installed.
    """
    chosen = [o.value() for o in config.parse(overrides) if o.key_or_group == "hydra/launcher"]
    launcher = str(chosen[-1]) if chosen else "basic"
    if launcher in PLUGINS:
        try:
            import_module(PLUGINS[launcher])
        except ImportError:
            raise LstmlabError(f"hydra/launcher={launcher} needs a plugin: pip install 'lstmlab[multirun]'.") from None
    return launcher


def _defaults(folder: Path, launcher: str, needed: int) -> list[str]:
    """Return overrides that come before the user's, which win: all files in one folder, the cores that a job takes."""
    shares = {"joblib": f"n_jobs={max(1, cores() // needed)}"}
    shares |= dict.fromkeys(("submitit_local", "submitit_slurm"), f"cpus_per_task={needed}")
    share = [f"hydra.launcher.{shares[launcher]}"] if launcher in shares else []
    return [f"hydra.sweep.dir='{folder}'", *share]


def _report(outcome: Outcome, reports: Path) -> None:
    write(reports / f"{uuid.uuid4().hex}.json", json.dumps(asdict(outcome)).encode())


def _reported(reports: Path | None) -> list[Outcome]:
    files = sorted(reports.glob("*.json"), key=lambda file: file.stat().st_mtime_ns) if reports else []
    return [Outcome(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


@contextmanager
def _whole_errors() -> Iterator[None]:
    """Say in one line what Hydra or a launcher raises, unless the user wants to see all of it."""
    if os.environ.get(TRACES) == "1":
        yield
        return
    os.environ[TRACES] = "1"
    try:
        yield
    except LstmlabError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise TrainingError(f"{type(error).__name__}: {first} ({TRACES}=1 shows where it was raised)") from None
    finally:
        del os.environ[TRACES]


def _text(run: Run) -> str:
    r = run.result
    lines = [
        f"{r['task']} · {r['cell']} · seed {r['seed']} · {r['hidden_size']} units · {r['parameters']:,} parameters",
        f"  test {r['metric']}: {r['value']:.4g} {r['unit']}".rstrip()
        + f"  (best weights at step {r['best_step']} of {r['steps']}, {r['seconds']:.1f} s)",
    ]
    for name, scores in run.task.baselines("test").items():
        lines.append(f"  {name}: {scores[r['metric']]:.4g} {r['unit']}".rstrip())
    lines += [f"  note: {note}" for note in run.task.told()]
    return "\n".join([*lines, f"  run {run.folder.name.rpartition('-')[2]}: {run.folder}"])

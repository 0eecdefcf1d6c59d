"""`lstmlab run`: Hydra's own application, with every job checked before the first one starts."""

from __future__ import annotations

import itertools
import sys

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from lstmlab import config, paths
from lstmlab.errors import LstmlabError
from lstmlab.studies.run import Run, run_settings
from lstmlab.validation import ConfigError


def main(arguments: list[str]) -> int:
    """Run Hydra with ``arguments`` and return the exit code of the worst job.

    Raises:
        ConfigError: when any job's config is wrong; then none has started.
    """
    given = get_args_parser().parse_args(arguments)
    if not (given.help or given.hydra_help):
        for overrides in _jobs(given.overrides) if given.multirun else [given.overrides]:
            settings = config.check(config.compose(overrides))
            if given.multirun and settings.run.train.nodes > 1:
                raise ConfigError("train.nodes: a multirun uses one node; call `lstmlab run` for each run")
        if given.multirun and given.overrides:
            # Hydra writes multirun.yaml there; a later hydra.sweep.dir of the user's wins.
            at = arguments.index(given.overrides[0])
            folder = f"hydra.sweep.dir='{paths.outputs(settings.outputs)}/multirun'"
            arguments = [*arguments[:at], folder, *arguments[at:]]
    codes = [0]

    @hydra.main(version_base="1.3", config_path=str(paths.assets("conf")), config_name="config")
    def job(composed: DictConfig) -> float | None:
        try:
            done = run_settings(config.check(composed))
        except LstmlabError as error:
            print(f"lstmlab: {error}", file=sys.stderr)
            codes.append(error.exit_code)
            return None
        _show(done)
        return float(done.result["value"])

    sys.argv = ["lstmlab run", *arguments]
    job()
    return max(codes)


def _jobs(overrides: list[str]) -> list[list[str]]:
    """Return the overrides of every job of a multirun."""
    choices = [
        [f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in config.parse(overrides)
    ]
    return [list(job) for job in itertools.product(*choices)]


def _show(run: Run) -> None:
    r = run.result
    print(
        f"{r['task']} · {r['cell']} · seed {r['seed']} · {r['hidden_size']} units · {r['parameters']:,} parameters\n"
        f"  test {r['metric']}: {r['value']:.4g} {r['unit']}".rstrip()
        + f"  (best weights at step {r['best_step']} of {r['steps']}, {r['seconds']:.1f} s)"
    )
    for name, scores in run.task.baselines("test").items():
        print(f"  {name}: {scores[r['metric']]:.4g} {r['unit']}".rstrip())
    for note in run.task.told():
        print(f"  note: {note}")
    print(f"  run {run.folder.name.rpartition('-')[2]}: {run.folder}")

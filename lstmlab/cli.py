"""The command line: what it teaches, and how it ends. `lstmlab.commands` has the commands."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from lstmlab.commands import COMMANDS, list_
from lstmlab.errors import LstmlabError

TEACH = """\
The shortest way to a result:
  lstmlab report study=variants        train what is missing, then render the comparison
  lstmlab list                         cells, tasks, datasets that can be named
  lstmlab data list                    datasets: size, licence, and which of them are here
  lstmlab check NAME                   does a task or cell of yours keep the contract?
  lstmlab bench                        how fast every cell is on this machine

Overrides are Hydra's: group=choice or key=value.
  lstmlab run task=climate cell=peephole seed=1
  lstmlab run task=adding task.length=100 train.steps=2000
  lstmlab run -m cell=vanilla,peephole         one run after the other (Hydra's multirun)
  lstmlab run --cfg job task=climate           show the config and stop
  lstmlab study study=variants task=climate seed=0,1 outputs=/tmp/quick

Finished runs are never repeated; after an interruption the same command does the rest.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 something failed, 2 refused, 130 interrupted."""
    _hear_interrupts()
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    if rest and given.command == "list":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if given.command == "list":
            list_(given.kind, given.verbose)
            return 0
        return int(given.function(rest) or 0)
    except LstmlabError as error:
        print(f"lstmlab: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("lstmlab: interrupted; finished runs are kept, the same command does the rest.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        sys.stderr.close()
        return 0


def _hear_interrupts() -> None:
    """Let SIGINT end a command whoever started it.

    A shell starts the background jobs of a script with the signal ignored. Python then leaves it ignored, and
    a study could be ended in no way that also ends its workers.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lstmlab",
        description="Compare recurrent cells on real tasks.",
        epilog=TEACH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from importlib.metadata import version

    parser.add_argument("--version", action="version", version=f"lstmlab {version('lstmlab')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, text, epilog) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text.partition(". ")[0],
            description=text,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=name not in ("run", "bench", "predict", "data", "check", "status"),  # these have their own
        )
        command.set_defaults(function=function)
        if name == "list":
            command.add_argument("kind", nargs="?", choices=("cells", "tasks", "datasets"), help="what to list")
            command.add_argument("-v", "--verbose", action="store_true", help="how each cell is computed here, and why")
        else:
            command.usage = f"lstmlab {name} [OVERRIDE ...]"
    return parser

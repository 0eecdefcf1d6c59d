"""How a check says what it found and what to do, and how many checks become one verdict."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Check = Callable[[Any], str | None]  # raises PromiseError; returns a word where there is nothing to check
Named = tuple[str, Check]


class PromiseError(AssertionError):
    """One promise that is not kept: what was found, and what to do."""

    def __init__(self, found: str, do: str) -> None:
        super().__init__(f"{found}\n      what to do: {do}")
        self.found, self.do = found, do


def expect(holds: bool, found: str, do: str) -> None:
    """Raise `PromiseError` unless ``holds``."""
    if not holds:
        raise PromiseError(found, do)


@dataclass(frozen=True)
class Outcome:
    """What one check came to.

    Attributes:
        name: of the check.
        word: why there was nothing to check, where that is so.
        broken: the promise that is not kept, or None.
    """

    name: str
    word: str = ""
    broken: PromiseError | None = None

    def __str__(self) -> str:
        if self.broken:
            return f"failed   {self.name}: {self.broken}"
        return f"skipped  {self.name}: {self.word}" if self.word else f"ok       {self.name}"


class ContractError(AssertionError):
    """What a task or cell promises and does not keep, check by check, with what to do."""

    def __init__(self, what: str, failed: Sequence[Outcome], count: int) -> None:
        listed = "\n".join(f"  {outcome}" for outcome in failed)
        super().__init__(f"{what} breaks {len(failed)} of {count} checks:\n{listed}")
        self.failed = tuple(failed)


def outcomes(checks: Iterable[Named], subject: object) -> Iterator[Outcome]:
    """Run one check after the other; when the first fails, the others would only repeat it."""
    for at, (name, function) in enumerate(checks):
        outcome = _try(name, function, subject)
        yield outcome
        if at == 0 and outcome.broken:
            return


def demand(what: str, checks: Sequence[Named], subject: object) -> None:
    """Run all checks.

    Raises:
        ContractError: with every check that failed.
    """
    failed = [outcome for outcome in outcomes(checks, subject) if outcome.broken]
    if failed:
        raise ContractError(what, failed, len(checks)) from failed[0].broken


def _try(name: str, function: Check, subject: object) -> Outcome:
    try:
        with torch.random.fork_rng(devices=[]):
            return Outcome(name, word=function(subject) or "")
    except PromiseError as broken:
        return Outcome(name, broken=broken)
    except Exception as error:  # an author's code may raise anything; the other checks go on
        found = f"{type(error).__name__}: {error} ({where(error)})"
        promise = " ".join((function.__doc__ or "").split())
        raised = PromiseError(found, f"mend what raises this error; the promise is: {promise}")
        raised.__cause__ = error
        return Outcome(name, broken=raised)


def where(error: BaseException) -> str:
    """Return file:line of the innermost frame that is not inside an installed library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in Path(frame.filename).parts]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}"

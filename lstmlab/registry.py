"""One registry for everything that a config may name: cells, tasks and datasets.

An entry is a class, or a function that returns what is registered; a function is called only
when the entry is used, so that listing names imports neither torch nor pandas::

    @cell("peephole")
    class Peephole(Cell): ...

    @task("climate")
    def climate() -> type[Task]:
        '''Weekly CO2, half a year ahead.'''
        from .task import Climate
        return Climate
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lstmlab.errors import LstmlabError, nearest


class UnknownNameError(LstmlabError):
    """A name that nothing is registered under."""


class NameClashError(LstmlabError):
    """Two things want the same name."""


@dataclass(frozen=True)
class Entry:
    """A registered name: ``target`` is the class, or the function that loads it."""

    name: str
    target: Any
    origin: str  # file:line

    @property
    def summary(self) -> str:
        """The first line of the target's docstring."""
        return (inspect.getdoc(self.target) or "").partition("\n")[0]

    @property
    def module(self) -> str:
        """The module that registered the entry."""
        return str(self.target.__module__)

    def load(self) -> Any:
        """Return what the entry stands for."""
        return self.target if isinstance(self.target, type) else self.target()


class Registry:
    """Names of one kind, in the order in which they were registered."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def __call__(self, name: str) -> Callable[[Any], Any]:
        """Return a decorator that registers a class, or a function that returns one, as ``name``.

        Raises:
            NameClashError: when the name is taken; the message names both origins.
            LstmlabError: what the target's own ``check_registration``, if it has one, refuses.
        """

        def register(target: Any) -> Any:
            origin = _origin(target)
            known = self._entries.get(name)
            if known is not None and known.origin != origin:
                raise NameClashError(
                    f"The {self.kind} {name!r} is registered twice: in {known.origin} and in {origin}. "
                    "Rename one of them."
                )
            check = getattr(target, "check_registration", None)
            if check is not None:
                check()
            self._entries[name] = Entry(name, target, origin)
            return target

        return register

    def entry(self, name: str) -> Entry:
        """Return the entry called ``name``.

        Raises:
            UnknownNameError: with the nearest name and all that are known.
        """
        _discover()
        if name not in self._entries:
            known = ", ".join(self._entries)
            raise UnknownNameError(
                f"There is no {self.kind} called {name!r}.{nearest(name, self._entries)} Known: {known}."
            )
        return self._entries[name]

    def get(self, name: str) -> Any:
        """Return what is registered as ``name``, loading it if need be."""
        return self.entry(name).load()

    def __iter__(self) -> Iterator[str]:
        _discover()
        return iter(tuple(self._entries))

    def __contains__(self, name: object) -> bool:
        _discover()
        return name in self._entries

    def discard_module(self, module: str) -> None:
        """Forget what ``module`` registered: a plugin that broke half-way leaves nothing behind."""
        self._entries = {k: e for k, e in self._entries.items() if e.module != module}


def _origin(target: Any) -> str:
    code = getattr(target, "__code__", None)
    try:
        file = inspect.getsourcefile(target) or "?"
        return f"{file}:{code.co_firstlineno if code else inspect.getsourcelines(target)[1]}"
    except (OSError, TypeError):  # a class that was not read from a file
        return f"{target.__module__}:?"


def _discover() -> None:
    from lstmlab.plugins import discover

    discover()


cell = Registry("cell")
task = Registry("task")
dataset = Registry("dataset")
KINDS = {"cells": cell, "tasks": task, "datasets": dataset}

"""Remembering what a function returned."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])


def memo(function: F) -> F:
    """Do as ``functools.cache``, and keep the function's type, which classes as arguments lose there."""
    return cast(F, functools.cache(function))

"""Functions whose results stay: remembered, or constant to torch.compile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])


def memo(function: F) -> F:
    """Do as ``functools.cache``, and keep the function's type, which classes as arguments lose there."""
    return cast(F, functools.cache(function))


def constant(function: F) -> F:
    """Let ``torch.compile`` take what a function returns as a constant.

    The mark is that of ``torch.compiler.assume_constant_result``, which would import the compiler, more
    than a second, into every process.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function

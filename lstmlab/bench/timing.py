"""Timing several things fairly: alternating, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TypeVar

Key = TypeVar("Key")
AT_LEAST = 3  # rounds, whatever they take
WARM_CALLS, WARM_SECONDS = 3, 0.1  # calls that are not timed: so many, but fewer where they are slow


def alternate(
    calls: Mapping[Key, Callable[[], None]],
    always: frozenset[Key],
    rounds: int,
    budget: float,
    clock: Callable[[], float] = perf_counter,
) -> dict[Key, list[float | None]]:
    """Call everything, warmed up, once a round: first to last, then last to first, and so on.

    Args:
        calls: what is timed, by name.
        always: those that the others are compared with: timed in every round.
        rounds: at most.
        budget: seconds after which one of the others is timed no more, once it has had three rounds.
        clock: seconds that pass.

    Returns:
        Seconds by name and round, None for a round that it was left out of.
    """
    seconds: dict[Key, list[float | None]] = {key: [] for key in calls}
    spent = dict.fromkeys(calls, 0.0)
    order = list(calls)
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            going = {k for k in calls if k not in always and (number < AT_LEAST or spent[k] < budget)}
            if not going and number >= AT_LEAST:
                break
            for key in order if number % 2 == 0 else reversed(order):
                if key not in going and key not in always:
                    seconds[key].append(None)
                    continue
                start = clock()
                calls[key]()
                took = clock() - start
                spent[key] += took
                seconds[key].append(took)
    finally:
        if was_on:
            gc.enable()
    return seconds


def warm_up(call: Callable[[], None]) -> None:
    """Call it until what happens only in the first calls is over: compiling, allocating."""
    start = perf_counter()
    for _ in range(WARM_CALLS):
        call()
        if perf_counter() - start > WARM_SECONDS:
            return

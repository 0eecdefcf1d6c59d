"""How runs on other machines go, as their claims in the shared store tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lstmlab.studies import claims
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.events import Event
from lstmlab.studies.store import Store


def progress(specs: Iterable[Spec], store: Store) -> Iterator[Event]:
    """Yield one event for each of the runs that somebody works on."""
    for spec in specs:
        holder = claims.holder(store.folder(spec))
        if holder is not None:
            yield Event(spec, step=holder.step, loss=holder.loss)

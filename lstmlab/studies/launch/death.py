"""What becomes of a run whose process has died."""

from __future__ import annotations

from lstmlab.studies import claims
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.events import Event
from lstmlab.studies.store import Store


def record_death(spec: Spec, store: Store, reason: str, stale: int = 0) -> Event:
    """Record that a run failed, unless its process had finished it before, or another one works on it by now.

    Args:
        spec: which run.
        store: where it is recorded.
        reason: what its process died of.
        stale: the claim that is known to be the dead process's, where this machine cannot see that.
    """
    folder = store.folder(spec)
    with claims.hold(folder, stale) as claim:
        if claim is None:
            return Event(spec, elsewhere=claims.holder_name(folder))
        result = store.result(spec)
        done = result is not None and result["status"] == "done"
        return Event(spec, result=result if done else store.fail(spec, reason))

"""Where the processes of one run meet: a small key-value store of torch's, on one address and no other."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousParameters, rendezvous_handler_registry
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler

from lstmlab.studies.devices import parsed_address
from lstmlab.validation import ConfigError

BACKEND = "lstmlab"
COMES = timedelta(minutes=10)  # within which whoever opens the store must be there
STOP, FAILURES = "stop", "failures"


class Meeting:
    """The store of one run, as each process that belongs to it sees it.

    Whoever can listen at the address opens the store, all others connect to it. Torch's own rendezvous would listen
    on all interfaces of the machine.

    Args:
        address: ``host:port``; None opens one on loopback, at a port that is free.
        waiting: called every second until somebody has opened the store.

    Raises:
        ConfigError: when the address is none of this network, or nobody opens a store there.
    """

    def __init__(self, address: str | None, waiting: Callable[[], object] = lambda: None) -> None:
        host, port = parsed_address(address) if address else ("127.0.0.1", 0)
        self.params: RendezvousParameters | None = None
        end = time.monotonic() + COMES.total_seconds()
        while True:
            try:
                family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
                listening = _listen(family, kind, protocol, place)
                if listening is None:
                    socket.create_connection((host, port), 1).close()
                break
            except OSError as error:
                if time.monotonic() > end or isinstance(error, socket.gaierror):
                    raise ConfigError(f"rendezvous={host}:{port}: nodes cannot meet there: {error}") from None
            waiting()
            time.sleep(1)
        self.host, self.port = host, port if listening is None else listening.getsockname()[1]
        self.store = self.connect() if listening is None else self._open(listening.detach())

    def _open(self, handle: int) -> TCPStore:
        return TCPStore(
            self.host, self.port, is_master=True, master_listen_fd=handle, wait_for_workers=False, timeout=COMES
        )

    def connect(self) -> TCPStore:
        """Return another connection to the store."""
        return TCPStore(self.host, self.port, is_master=False, wait_for_workers=False, timeout=COMES)

    @property
    def address(self) -> str:
        """Where the store is."""
        return f"{self.host}:{self.port}"

    @property
    def own_address(self) -> str:
        """Address of this machine on the way to the store."""
        with socket.socket(socket.getaddrinfo(self.host, self.port)[0][0], socket.SOCK_DGRAM) as asking:
            asking.connect((self.host, self.port))  # sends nothing
            return str(asking.getsockname()[0])

    @property
    def interface(self) -> str:
        """Network interface of this machine on the way to the store."""
        own = self.own_address
        return next(k for k, found in psutil.net_if_addrs().items() if own in {a.address for a in found})

    def stop(self) -> None:
        """Ask all ranks to stop after a checkpoint."""
        self.store.set(STOP, "")

    def close(self) -> None:
        """Let nobody in who has not come yet, and end the wait for them."""
        if self.params is not None:
            create_handler(self.store, _Backend(self.store, self.params.run_id), self.params).set_closed()

    def tell_failure(self, failure: dict[str, Any]) -> None:
        """Say why this rank ends, before the others learn that it is gone."""
        self.store.set(f"{FAILURES}{self.store.add(FAILURES, 1)}", json.dumps(failure))

    def failures(self) -> list[dict[str, Any]]:
        """Return what ranks have said, the first one first."""
        count = self.store.add(FAILURES, 0)
        return [json.loads(self.store.get(f"{FAILURES}{n + 1}")) for n in range(count)]


def ranks_store(store: Store) -> Store:
    """Return the part of a meeting's store where ranks find each other's addresses."""
    return PrefixStore("ranks", store)


def _listen(family: int, kind: int, protocol: int, place: Any) -> socket.socket | None:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(512)
    except OSError:  # not an address of this machine, or another process of it was first
        listening.close()
        return None
    return listening


class _Backend(C10dRendezvousBackend):
    """Torch's own backend, over a store of ours."""

    name = BACKEND


def _handler(params: RendezvousParameters) -> RendezvousHandler:
    meeting: Meeting = params.config["meeting"]
    meeting.params, store = params, meeting.store
    return create_handler(store, _Backend(store, params.run_id), params)


rendezvous_handler_registry.register(BACKEND, _handler)

"""The manager in a process of its own, forked from the harness: the real loop and the real store, the rest is remote.

It does what it is told, one call after another, and dies by its own hand when the harness says so.
"""

import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import structlog

from previews.adapters.store import SQLStore
from previews.domain.database import SecretKind
from previews.domain.ports import Clock
from previews.domain.preview import ProbeResult
from previews.domain.probing import ProbePolicy
from previews.reconcile.effects import Effect
from tests.fakes.stepped_manager import SteppedManager
from tests.fakes.surroundings import SERVER, Surroundings
from tests.sweep.peer import Peer, Remote

RETENTION = timedelta(days=30)
FORGE_PARTS = ("checks", "deployments", "redeliveries")


class ObedientWitness:
    """Asks the harness before and after each effect whether to live on."""

    def __init__(self, strikes: Remote) -> None:
        self._strikes = strikes

    def before(self, effect: Effect, subject: str) -> None:
        if self._strikes.before(effect, subject):
            _die()

    def after(self, effect: Effect, subject: str) -> None:
        if self._strikes.after(effect, subject):
            _die()


class _Prober:
    """Counts its requests on this side: a function does not travel."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def probe(
        self, url: str, policy: ProbePolicy, *, on_request: Callable[[str], None] = lambda _: None
    ) -> ProbeResult:
        on_request(urlsplit(url).hostname or "")
        result: ProbeResult = self._remote.probe(url, policy)
        return result


def _remote_forge(peer: Peer, surroundings: Surroundings) -> Any:  # noqa: ANN401 - as every remote object
    """With the parts that the forge has: each is a remote object of its own."""
    forge = Remote(peer, "forge")
    for name in FORGE_PARTS:
        there = getattr(surroundings.forge, name) is not None
        setattr(forge, name, Remote(peer, name) if there else None)
    return forge


def run_manager(connection: socket.socket, surroundings: Surroundings, store_file: Path) -> None:
    """Serve the harness until it lets go. The surroundings are a copy: only what they are configured with is used."""
    targets: dict[str, object] = {}
    peer = Peer(connection, targets)
    strikes = Remote(peer, "strikes")
    _tell_of_bugs(strikes)
    store = open_store(store_file, surroundings.clock)
    here = surroundings.world(store)
    remotes: dict[str, Any] = {name: Remote(peer, name) for name in remote_systems(surroundings)}
    records = remotes.pop("host_records")
    for name in ("forge", *FORGE_PARTS):
        del remotes[name]
    world = replace(
        here,
        host_records=records if surroundings.names_hosts else None,
        databases={SERVER: remotes.pop("databases")},
        deliveries=dict.fromkeys(SecretKind, remotes.pop("secrets")),
        prober=_Prober(remotes.pop("prober")),
        forge=_remote_forge(peer, surroundings),
        **remotes,
    )
    manager = SteppedManager(
        world, surroundings.options(), ObedientWitness(strikes), surroundings.clock
    )
    targets |= {"manager": manager, "keys": manager.loop.queues.previews}
    peer.serve()
    store.close()


def open_store(file: Path, clock: Clock) -> SQLStore:
    """The real store."""
    return SQLStore(file, clock=clock, delivery_retention=RETENTION)


def remote_systems(surroundings: Surroundings) -> Mapping[str, object]:
    """The outside systems that stay where they are, by name."""
    return {name: getattr(surroundings.forge, name) for name in FORGE_PARTS} | {
        name: getattr(surroundings, name)
        for name in (
            "forge",
            "gitops",
            "cluster",
            "registry",
            "prober",
            "databases",
            "secrets",
            "secret_source",
            "host_records",
        )
    }


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives this")


def _tell_of_bugs(strikes: Remote) -> None:
    """The loop survives its bugs, and logs them: here each is a failure. Nothing else is worth a line."""

    def filtered(_logger: object, _method: str, event: Any) -> NoReturn:  # noqa: ANN401 - as structlog has it
        if event["event"] == "bug":
            strikes.found_bug(structlog.processors.format_exc_info(None, "", event)["exception"])
        raise structlog.DropEvent

    structlog.configure(processors=[filtered])

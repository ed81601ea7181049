"""Many pull requests at once that each want a clone of one template: the whole manager and its threads on fakes, with
a real server put in as their database server."""

import time
from collections.abc import Callable
from dataclasses import replace

from previews.domain.database import DatabasePolicy
from previews.domain.ports import Store
from previews.domain.preview import Phase, PreviewKey
from previews.domain.resource_ports import DatabaseServer
from previews.reconcile.assembly import join_loop
from previews.reconcile.controller import Controller
from previews.reconcile.effects import Effect
from previews.reconcile.world import World
from tests.bench.figures import Part
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import SERVER, Surroundings, project
from tests.fakes.town import CountingWitness

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.02


class _BusyTown(Surroundings):
    """Outside systems, and a manager with its threads on the clock that everybody has."""

    def __init__(self, server: DatabaseServer, template: str) -> None:
        policy = DatabasePolicy(server=SERVER, template=template)
        super().__init__([project("shop", database=policy)])
        self._server = server
        self.store = InMemoryStore()
        self.loop = join_loop(self.world(self.store), self.options(), CountingWitness())
        self.controller = Controller(self.loop, self.cluster)

    def world(self, store: Store) -> World:
        return replace(super().world(store), databases={SERVER: self._server})

    def deliver(self, number: int, project_name: str = "shop", *, guid: str | None = None) -> None:
        key = PreviewKey(project_name, number)
        self.store.accept([(self.delivery(guid), [key])])
        self.loop.enqueue([key])


def measure_at_once(
    server: DatabaseServer, template: str, count: int, part: Part, place: str
) -> None:
    """From the first webhook until each has its database and its secret; and until all are live."""
    town = _BusyTown(server, template)
    town.controller.start()
    try:
        began = time.perf_counter()
        for _ in range(count):
            town.open()
        _wait(lambda: _has_database(town) == count, f"the databases of {count} pull requests")
        ready = time.perf_counter() - began
        _wait(lambda: _is_live(town) == count, f"{count} previews to be live")
        live = time.perf_counter() - began
    finally:
        town.controller.stop()
    failed = town.loop.effects.counts()[Effect.CREATE_DATABASE][1]
    if failed:
        raise RuntimeError(f"{failed} of {count} databases were not made at once")
    part.set(f"database_{place}_{count}_at_once_seconds", ready)
    part.set(f"database_{place}_{count}_at_once_live_seconds", live)
    part.set(
        f"database_{place}_{count}_dropped_max_seconds",
        max(_drop(server, record.key) for record in town.store.list_records()),
    )


def _drop(server: DatabaseServer, key: PreviewKey) -> float:
    """In seconds. The first of them waits until the server has written all that is new to disk."""
    began = time.perf_counter()
    server.drop(key)
    return time.perf_counter() - began


def _has_database(town: _BusyTown) -> int:
    return sum(record.grant is not None for record in town.store.list_records())


def _is_live(town: _BusyTown) -> int:
    return sum(record.phase is Phase.LIVE for record in town.store.list_records())


def _wait(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE_SECONDS:g} s in vain for {what}")
        time.sleep(LOOK_SECONDS)

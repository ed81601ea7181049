"""A store, the fake or SQLite, for all that is told to every store; and what the tests put into it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from previews.adapters.store import SQLStore
from previews.domain.lifetime import Said, Until, Wishes
from previews.domain.ports import Store
from previews.domain.preview import HeadSha, PreviewKey, PullRequest
from previews.domain.record import Delivery, HistoryEntry, Verdict
from tests.fakes.clock import ManualClock
from tests.fakes.store import InMemoryStore

KEY = PreviewKey("shop", 42)
OTHER_KEY = PreviewKey("shop", 43)
NOON = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)
PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HeadSha("a" * 40),
    head_branch="a;$(id)",
    base_branch="main",
    title="{{.x}} \u202e '\" \ud83d \x00 \n---\n",
    author="mallory",
    url="https://forge.example/acme/shop/pull/42",
    from_fork=False,
    labels=("\udcff", "preview-ttl: 24h"),
)
PINNED = HistoryEntry(NOON, "mallory \ud83d", "Pinned", "until \x00 noon")
WISHES = Wishes(
    pin=Until(NOON + timedelta(days=1), NOON, "mallory \ud83d"),
    extension=Until(NOON, NOON, "ada"),
    sleep=Said(NOON, "ada"),
    wake=Said(NOON, "a visitor"),
    redeploy=Said(NOON, ""),
    removal=Said(NOON, "ada"),
    reset=Said(NOON, "ada"),
    rotation=Said(NOON, "bob"),
    eviction=Said(NOON, "room for shop#43"),
    confirmation=Said(NOON, "bob"),
    active_at=NOON,
)


class World(Protocol):
    """A store, and what can be known and done from beside it."""

    @property
    def store(self) -> Store: ...
    def version(self) -> object:
        """Something that changes with every write."""
        ...

    def put_out_of_order(self) -> None: ...
    def mend(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.store = InMemoryStore()

    def version(self) -> object:
        return self.store.writes

    def put_out_of_order(self) -> None:
        self.store.unavailable = True

    def mend(self) -> None:
        self.store.unavailable = False


class SQLiteWorld:
    def __init__(self, path: Path) -> None:
        self.store = SQLStore(
            path,
            clock=ManualClock(),
            delivery_retention=timedelta(days=7),
            busy_timeout_seconds=0.01,
        )
        self._onlooker = sqlite3.connect(path, isolation_level=None)

    def version(self) -> object:
        return self._onlooker.execute("PRAGMA data_version").fetchone()

    def put_out_of_order(self) -> None:
        self._onlooker.execute("BEGIN EXCLUSIVE")

    def mend(self) -> None:
        self._onlooker.execute("ROLLBACK")

    def close(self) -> None:
        self._onlooker.close()
        self.store.close()


@contextmanager
def open_store(kind: Literal["fake", "sqlite"], directory: Path) -> Iterator[World]:
    if kind == "fake":
        yield FakeWorld()
        return
    sqlite = SQLiteWorld(directory / "previews.db")
    try:
        yield sqlite
    finally:
        sqlite.close()


def delivery(guid: str) -> Delivery:
    return Delivery(guid, NOON, "pull_request", Verdict.ACCEPTED, "")


def mark_of(store: Store, key: PreviewKey) -> int:
    record = store.load(key)
    return record.fetch_mark if record else 0

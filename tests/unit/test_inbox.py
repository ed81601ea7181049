"""Deliveries are stored together, answered one by one, and none is lost on the way."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery, Verdict
from previews.errors import TransientError
from previews.reconcile.effects import Effects, LoggingWitness
from previews.reconcile.inbox import BATCH_MAX, CAPACITY, Inbox
from tests.fakes.store import InMemoryStore

KEY = PreviewKey("shop", 42)
WAIT_SECONDS = 30


def delivery(guid: str) -> Delivery:
    return Delivery(guid, datetime(2026, 11, 2, tzinfo=UTC), "pull_request", Verdict.ACCEPTED, "")


class SlowStore(InMemoryStore):
    """Takes nothing in until it is let go, and counts the transactions."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.busy = threading.Event()
        self.transactions: list[int] = []
        self.bug: Exception | None = None

    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        self.busy.set()
        assert self.go.wait(WAIT_SECONDS)
        self.transactions.append(len(deliveries))
        if self.bug is not None:
            raise self.bug
        return super().accept(deliveries)


class World:
    def __init__(self) -> None:
        self.store = SlowStore()
        self.woken: list[PreviewKey] = []
        self.inbox = Inbox(self.store, Effects(LoggingWitness()), self.woken.extend)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.inbox.start()
    yield world
    world.store.go.set()
    world.inbox.stop()


def test_says_of_each_delivery_whether_it_was_new_and_wakes_its_previews(world: World) -> None:
    world.store.go.set()

    assert world.inbox.submit(delivery("one"), [KEY]).result(WAIT_SECONDS) is True
    assert world.inbox.submit(delivery("one"), [KEY]).result(WAIT_SECONDS) is False

    world.inbox.stop()
    assert world.woken == [KEY]


def test_what_arrives_during_a_transaction_shares_the_next(world: World) -> None:
    first = world.inbox.submit(delivery("first"), [KEY])
    assert world.store.busy.wait(WAIT_SECONDS)
    others = [world.inbox.submit(delivery(str(n)), []) for n in range(50)]
    assert not first.done()

    world.store.go.set()

    assert all(stored.result(WAIT_SECONDS) for stored in (first, *others))
    assert world.store.transactions == [1, 50]


def test_a_crowd_is_stored_in_several_transactions(world: World) -> None:
    world.inbox.submit(delivery("first"), [])
    assert world.store.busy.wait(WAIT_SECONDS)
    others = [world.inbox.submit(delivery(str(n)), []) for n in range(BATCH_MAX + 1)]

    world.store.go.set()

    assert all(stored.result(WAIT_SECONDS) for stored in others)
    assert world.store.transactions == [1, BATCH_MAX, 1]


@pytest.mark.parametrize(
    "problem", [TransientError("StoreUnavailable", "full"), ZeroDivisionError()]
)
def test_a_failure_reaches_everyone_who_waits_and_not_those_who_come_later(
    world: World, problem: Exception
) -> None:
    world.store.bug = problem
    world.store.go.set()
    refused = world.inbox.submit(delivery("one"), [KEY])
    assert refused.exception(WAIT_SECONDS) is problem

    world.store.bug = None

    assert world.inbox.submit(delivery("one"), [KEY]).result(WAIT_SECONDS) is True
    assert list(world.store.deliveries) == ["one"]


def test_stores_what_waits_before_it_stops(world: World) -> None:
    waiting = [world.inbox.submit(delivery(str(n)), [KEY]) for n in range(3)]
    world.store.go.set()

    world.inbox.stop()

    assert [stored.result(0) for stored in waiting] == [True] * 3
    late = world.inbox.submit(delivery("late"), [KEY]).exception(0)
    assert isinstance(late, TransientError)
    assert late.reason == "InboxClosed"


def test_refuses_more_than_it_can_hold(world: World) -> None:
    world.inbox.submit(delivery("first"), [])
    assert world.store.busy.wait(WAIT_SECONDS)
    waiting = [world.inbox.submit(delivery(str(n)), []) for n in range(CAPACITY)]

    too_many = world.inbox.submit(delivery("one too many"), []).exception(0)

    assert isinstance(too_many, TransientError)
    world.store.go.set()
    assert all(stored.result(WAIT_SECONDS) for stored in waiting)


def test_a_sender_that_gives_up_does_not_take_its_delivery_back(world: World) -> None:
    stored = world.inbox.submit(delivery("one"), [KEY])

    assert not stored.cancel()

    world.store.go.set()
    assert stored.result(WAIT_SECONDS) is True

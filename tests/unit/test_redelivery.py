"""What the forge could not deliver is asked for again: each a few times, and nothing that came all the same."""

from datetime import timedelta

import pytest

from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery, Verdict
from previews.errors import StalledError
from previews.reconcile.effects import Effect, Effects, LoggingWitness
from previews.reconcile.redelivery import ATTEMPTS_MAX, REACHES_BACK, Redelivery
from tests.fakes.clock import ManualClock
from tests.fakes.forge import RATE_LIMITED, FakeForge
from tests.fakes.forge_parts import FakeRedeliveries
from tests.fakes.store import InMemoryStore


class Place:
    """A forge that keeps a list, and a manager that reads it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.forge = FakeForge(is_app=True, now=self.clock.now)
        self.store = InMemoryStore()
        self.effects = Effects(LoggingWitness())
        self.restart()

    def restart(self) -> None:
        self.redelivery = Redelivery(self.forge.redeliveries, self.store, self.effects, self.clock)

    @property
    def list(self) -> FakeRedeliveries:
        assert self.forge.redeliveries is not None
        return self.forge.redeliveries

    def look(self, *, after: timedelta = timedelta(minutes=5)) -> dict[str, int]:
        """The next look, and what became of everything until then."""
        self.clock.move(after)
        self.redelivery.look()
        return {result: count for result, count in self.redelivery.counts().items() if count}

    def accept(self, guid: str) -> None:
        """The door took it in, as it turns out."""
        delivery = Delivery(guid, self.clock.now(), "pull_request", Verdict.ACCEPTED, "")
        self.store.accept([(delivery, [PreviewKey("shop", 1)])])


@pytest.fixture
def place() -> Place:
    return Place()


def test_what_failed_is_asked_for_once_more(place: Place) -> None:
    place.list.lose("one")
    place.list.lose("two")

    assert place.look() == {"redelivered": 2}
    assert place.list.redelivered == ["one", "two"]
    place.accept("one")
    place.accept("two")
    assert place.look() == {"redelivered": 2}
    assert place.effects.counts()[Effect.REDELIVER] == (2, 0)


def test_what_came_all_the_same_is_not_asked_for(place: Place) -> None:
    """Such as one whose answer GitHub did not wait for."""
    place.list.lose("one")
    place.accept("one")

    for _ in range(3):
        assert place.look() == {"known": 1}
    assert place.list.redelivered == []


def test_what_fails_again_and_again_is_given_up(place: Place) -> None:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        place.list.lose("one")
        assert place.look() == {"redelivered": attempt}

    place.list.lose("one")
    place.list.lose("two")
    assert place.look() == {"redelivered": ATTEMPTS_MAX + 1, "given_up": 1}
    assert place.look() == {"redelivered": ATTEMPTS_MAX + 1, "given_up": 1}
    assert place.list.redelivered == ["one"] * ATTEMPTS_MAX + ["two"]


def test_after_a_start_it_looks_as_far_back_as_the_forge_redelivers(place: Place) -> None:
    place.list.lose("too old")
    place.clock.move(REACHES_BACK)
    place.list.lose("old")

    assert place.look() == {"redelivered": 1}
    assert place.list.redelivered == ["old"]


def test_what_a_limit_left_undone_is_done_later(place: Place) -> None:
    place.list.lose("one")
    place.list.lose("two")
    place.forge.fail(RATE_LIMITED, on="redeliver 2")

    place.look()
    assert place.list.redelivered == ["one"]
    assert place.redelivery.note == "the forge asks for patience"

    place.forge.heal()
    place.look(after=timedelta(hours=1))
    assert place.list.redelivered == ["one", "two"]
    assert place.redelivery.note == ""


def test_a_list_that_cannot_be_read_is_a_note_and_read_later(place: Place) -> None:
    place.list.lose("one")
    place.forge.fail(RATE_LIMITED, on="list_failed_deliveries")
    assert place.look(after=timedelta(hours=1)) == {}
    assert place.redelivery.note

    place.forge.heal()
    assert place.look(after=timedelta(hours=1)) == {"redelivered": 1}


def test_one_that_the_forge_refuses_stops_no_other(place: Place) -> None:
    place.list.lose("one")
    place.list.lose("two")
    place.forge.fail(StalledError("ForgeRefused", "it is too old"), on="redeliver 1")

    assert place.look() == {"redelivered": 1, "given_up": 1}
    assert place.list.redelivered == ["two"]
    assert place.redelivery.note == ""


def test_a_clock_that_is_set_back_leaves_nothing_out(place: Place) -> None:
    place.look(after=timedelta(days=1))
    place.clock.move(-timedelta(days=1))
    place.list.lose("one")
    assert place.look() == {"redelivered": 1}


def test_a_forge_without_such_a_list_is_asked_for_none() -> None:
    place = Place()
    place.forge = FakeForge()
    place.restart()
    assert place.look() == {}
    assert place.forge.calls == []

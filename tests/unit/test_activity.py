"""Who counts as used, and that our own probes never do."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.preview import PreviewKey
from previews.errors import TransientError
from previews.reconcile.activity import COUNTED_WITHIN, ActivityWatch
from tests.fakes.traffic import FakeTraffic

SHOP, CART = "preview-shop-pr-1", "preview-cart-pr-2"
KEYS = {SHOP: PreviewKey("shop", 1), CART: PreviewKey("cart", 2)}
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BETWEEN_LOOKS = timedelta(seconds=20)


class Street:
    """Previews that are looked at every twenty seconds."""

    def __init__(self) -> None:
        self.traffic = FakeTraffic()
        self.probes: Counter[PreviewKey] = Counter()
        self.active: list[tuple[PreviewKey, datetime]] = []
        self.watch = ActivityWatch(self.traffic, lambda: self.probes, self.note)
        self.now = self.looked_at = NOON
        self.keys = set(KEYS.values())

    def note(self, key: PreviewKey, when: datetime) -> None:
        self.active.append((key, when))

    def probe(self, namespace: str, *, arrives: bool = True) -> None:
        self.probes[KEYS[namespace]] += 1
        if arrives:
            self.traffic.serve(namespace)

    def look(self, after: timedelta = BETWEEN_LOOKS) -> set[PreviewKey]:
        """Who was used since the last look; when in between, nobody can say."""
        self.now += after
        self.active.clear()
        self.watch.look(self.now, self.keys)
        assert {when for _, when in self.active} <= {self.looked_at}
        self.looked_at = self.now
        return {key for key, _ in self.active}


@pytest.fixture
def street() -> Street:
    street = Street()
    street.look()
    return street


def test_who_is_visited_is_used_and_nobody_else(street: Street) -> None:
    assert street.look() == set()
    street.traffic.serve(SHOP, 3)
    assert street.look() == {KEYS[SHOP]}
    assert street.look() == set()


def test_a_visit_from_before_it_was_sent_to_sleep_is_no_use_since_then(street: Street) -> None:
    street.traffic.serve(SHOP)
    sent_to_sleep_at = street.now + BETWEEN_LOOKS / 2

    street.look()

    assert [when < sent_to_sleep_at for _, when in street.active] == [True]


def test_what_was_counted_before_the_first_look_is_no_visit() -> None:
    street = Street()
    street.traffic.serve(SHOP, 1000)

    assert street.look() == set()
    street.traffic.serve(SHOP)
    assert street.look() == {KEYS[SHOP]}


def test_a_visit_between_two_probes_is_a_visit(street: Street) -> None:
    for _ in range(3):
        street.probe(SHOP)
        assert street.look() == set()
    street.probe(SHOP)
    street.traffic.serve(SHOP)
    street.probe(SHOP)
    assert street.look() == {KEYS[SHOP]}
    assert street.look() == set()


def test_a_probe_that_is_counted_late_is_no_visit(street: Street) -> None:
    street.probe(SHOP, arrives=False)
    assert street.look() == set()
    street.traffic.serve(SHOP)
    assert street.look() == set()


def test_a_probe_that_is_counted_late_hides_no_visit_besides_it(street: Street) -> None:
    street.probe(SHOP, arrives=False)
    street.look()
    street.traffic.serve(SHOP, 2)
    assert street.look() == {KEYS[SHOP]}


def test_probes_that_were_under_way_at_the_first_look_are_no_visits() -> None:
    street = Street()
    street.probe(SHOP, arrives=False)
    street.look()
    street.traffic.serve(SHOP)
    assert street.look() == set()
    street.traffic.serve(SHOP)
    assert street.look() == {KEYS[SHOP]}


def test_a_probe_that_never_arrives_stands_for_a_visit_until_the_next_look_alone(
    street: Street,
) -> None:
    for _ in range(5):
        street.probe(SHOP, arrives=False)
    street.look()
    street.traffic.serve(SHOP)
    assert street.look() == set()
    street.traffic.serve(SHOP)
    assert street.look() == {KEYS[SHOP]}


def test_looks_in_quick_succession_do_not_lose_a_probe_that_is_under_way(street: Street) -> None:
    street.probe(SHOP, arrives=False)
    street.look()
    assert street.look(COUNTED_WITHIN / 4) == set()
    street.traffic.serve(SHOP)
    assert street.look(COUNTED_WITHIN / 4) == set()


def test_a_controller_that_starts_anew_counts_from_nothing(street: Street) -> None:
    street.traffic.serve(SHOP, 100)
    street.traffic.serve(CART, 100)
    street.look()
    street.traffic.restart()
    street.traffic.serve(CART)
    assert street.look() == {KEYS[CART]}
    street.traffic.serve(SHOP)
    assert street.look() == {KEYS[SHOP]}


def test_a_probe_is_none_either_when_the_controller_starts_anew(street: Street) -> None:
    street.traffic.serve(SHOP, 100)
    street.look()
    street.traffic.restart()
    street.probe(SHOP)
    assert street.look() == set()
    assert street.look() == set()


def test_while_the_controller_is_silent_nobody_is_known_to_be_idle(street: Street) -> None:
    assert street.watch.quiet_since(KEYS[SHOP]) == street.now
    street.traffic.unavailable = True
    with pytest.raises(TransientError):
        street.look()
    assert street.watch.quiet_since(KEYS[SHOP]) is None


def test_what_happened_while_the_controller_was_silent_is_seen_afterwards(street: Street) -> None:
    began = street.now
    for _ in range(30):
        street.traffic.unavailable = True
        street.probe(SHOP)
        street.probe(CART)
        with pytest.raises(TransientError):
            street.look()
    street.traffic.serve(CART)
    street.traffic.unavailable = False
    assert street.look() == {KEYS[CART]}
    assert street.watch.quiet_since(KEYS[SHOP]) == began
    assert street.watch.quiet_since(KEYS[CART]) == street.now


def test_idleness_is_known_since_the_last_visit_or_since_it_was_watched(street: Street) -> None:
    began = street.now
    street.look()
    assert street.watch.quiet_since(KEYS[SHOP]) == began
    street.traffic.serve(SHOP)
    street.look()
    visited = street.now
    street.look()
    assert street.watch.quiet_since(KEYS[SHOP]) == visited
    assert street.watch.quiet_since(KEYS[CART]) == began
    assert street.watch.quiet_since(PreviewKey("shop", 9)) is None


def test_who_is_gone_is_forgotten_and_begins_anew(street: Street) -> None:
    street.traffic.serve(SHOP, 50)
    street.look()
    street.keys.remove(KEYS[SHOP])
    street.look()
    assert street.watch.quiet_since(KEYS[SHOP]) is None
    street.keys.add(KEYS[SHOP])
    assert street.look() == set()
    assert street.watch.quiet_since(KEYS[SHOP]) == street.now


Steps = st.lists(st.sampled_from(["visit", "probe", "lost probe", "restart", "look"]))


@given(Steps)
def test_only_visits_are_use_and_none_is_lost_but_to_a_lost_probe(steps: list[str]) -> None:
    street = Street()
    street.look()
    visited, may_hide = False, False
    for step in [*steps, "look", "look"]:
        match step:
            case "visit":
                street.traffic.serve(SHOP)
                visited = True
            case "probe":
                street.probe(SHOP)
            case "lost probe":
                street.probe(SHOP, arrives=False)
                may_hide = True
            case "restart":
                street.traffic.restart()
                # What was counted since the last look is forgotten, whoever asked for it.
                may_hide = True
            case "look":
                used = bool(street.look())
                assert visited or not used
                assert used or not visited or may_hide
                visited = False

"""More removals at once than a bad day explains are not begun."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.brake import BrakeLimits
from previews.domain.preview import PreviewKey
from previews.reconcile.brake import Brake
from tests.fakes.clock import ManualClock

MISSING = "MissingFromListing"
LIMITS = BrakeLimits(removals=3, share=0.5, window=timedelta(minutes=10))
NO_TTL = None


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def brake_over(count: int, *, ttl: timedelta | None = NO_TTL) -> tuple[Brake, ManualClock]:
    """A brake that knows so many previews."""
    clock = ManualClock()
    brake = Brake(LIMITS, clock)
    expires_at: datetime | None = clock.now() + ttl if ttl else None
    for number in range(count):
        brake.stays(key(number), expires_at)
    return brake, clock


@pytest.mark.parametrize(("previews", "allowed"), [(0, 3), (4, 3), (6, 3), (8, 4), (100, 50)])
def test_the_greater_of_a_number_and_a_share_is_allowed(previews: int, allowed: int) -> None:
    assert LIMITS.allowed(previews) == allowed
    brake, _ = brake_over(previews)
    assert brake.state().allowed == allowed


def test_as_many_as_are_allowed_begin_and_the_next_is_held() -> None:
    brake, _ = brake_over(6)
    assert [brake.holds(key(number), "Expired") for number in range(4)] == [
        False,
        False,
        False,
        True,
    ]
    state = brake.state()
    assert (state.holds, state.begun, state.held) == (True, 3, ((key(3), "Expired"),))


def test_one_that_began_goes_on_however_often_it_asks() -> None:
    brake, _ = brake_over(6)
    assert not any(brake.holds(key(0), "Expired") for _ in range(10))
    assert brake.state().begun == 1


def test_what_began_long_ago_counts_no_more() -> None:
    brake, clock = brake_over(6)
    for number in range(3):
        assert not brake.holds(key(number), "Expired")
    assert brake.holds(key(3), "Expired")
    clock.move(timedelta(minutes=11))
    assert not brake.holds(key(3), "Expired")
    assert not brake.state().holds


def test_when_all_expire_at_once_not_even_the_first_goes() -> None:
    brake, clock = brake_over(100, ttl=timedelta(days=3))
    assert not brake.holds(key(0), "PullRequestClosed")
    clock.move(timedelta(days=4))
    assert brake.holds(key(1), "Expired")
    clock.move(timedelta(days=-4))
    for number in range(1, 100):
        brake.stays(key(number), clock.now() + timedelta(days=3))
    assert not brake.state().holds
    assert not brake.holds(key(1), "PullRequestClosed")


def test_when_half_a_listing_is_missing_not_even_the_first_goes() -> None:
    brake, _ = brake_over(100)
    brake.suspects([key(number) for number in range(60)], MISSING)
    assert brake.holds(key(0), "PullRequestClosed")
    for number in range(1, 60):
        brake.stays(key(number), None)
    assert not brake.holds(key(0), "PullRequestClosed")


def test_what_was_never_there_is_no_suspect() -> None:
    brake, _ = brake_over(2)
    brake.suspects([key(number) for number in range(10, 90)], MISSING)
    assert not brake.holds(key(0), "PullRequestClosed")


def test_after_a_lost_store_everything_that_was_found_is_suspect_until_it_was_looked_at() -> None:
    brake, _ = brake_over(0)
    brake.adopts([key(number) for number in range(20)])
    assert brake.holds(key(0), "Expired")
    for number in range(1, 20):
        brake.stays(key(number), None)
    assert not brake.holds(key(0), "Expired")


def test_what_somebody_asks_for_does_not_count() -> None:
    brake, _ = brake_over(6)
    for number in range(5):
        brake.goes_by_hand(key(number))
    assert not brake.holds(key(5), "Expired")
    assert brake.state().begun == 1


def test_one_that_is_held_and_then_stays_is_held_no_more() -> None:
    brake, _ = brake_over(8)
    brake.suspects([key(number) for number in range(8)], MISSING)
    assert brake.holds(key(0), "PullRequestClosed")
    brake.stays(key(0), None)
    assert brake.state().held == ()


def test_what_a_former_process_began_counts() -> None:
    brake, clock = brake_over(2)
    for number in range(10, 13):
        brake.began(key(number), clock.now() - timedelta(minutes=1))
    assert brake.holds(key(0), "Expired")


def test_a_beginning_in_the_future_was_seen_by_a_wrong_clock() -> None:
    brake, clock = brake_over(2)
    for number in range(10, 13):
        brake.began(key(number), clock.now() + timedelta(days=1))
    assert not brake.holds(key(0), "Expired")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 300)), max_size=80))
def test_never_more_than_are_allowed_begin_within_any_window(asked: list[tuple[int, int]]) -> None:
    brake, clock = brake_over(31)
    begun: dict[int, datetime] = {}
    for number, seconds in asked:
        clock.move(timedelta(seconds=seconds))
        known = begun.get(number)
        if known is not None and clock.now() - known < LIMITS.window:
            continue
        if not brake.holds(key(number), "Expired"):
            begun[number] = clock.now()
            lately = [at for at in begun.values() if at > clock.now() - LIMITS.window]
            assert len(lately) <= LIMITS.allowed(31)

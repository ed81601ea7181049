"""GitHub's limits on one account, as we keep them."""

from datetime import UTC, datetime, timedelta

import pytest

from previews.adapters.forges.rate_budget import (
    CREATIONS_PER_HOUR,
    CREATIONS_PER_MINUTE,
    HOUR_SECONDS,
    MINUTE_SECONDS,
    RateBudget,
    Window,
    read_window,
)

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Machine:
    """A clock and a budget by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.budget = RateBudget(lambda: self.now)

    def read(self, said: Window | None = None) -> float:
        """One read that decides something; comes back with how long it has to wait."""
        return self._ask(said, is_feedback=False, creates=False)

    def write(self, said: Window | None = None) -> float:
        return self._ask(said, is_feedback=True, creates=True)

    def _ask(self, said: Window | None, *, is_feedback: bool, creates: bool) -> float:
        wait = self.budget.take(is_feedback=is_feedback, creates=creates)
        if not wait:
            self.budget.end(said)
        return wait


@pytest.fixture
def machine() -> Machine:
    return Machine()


def window(remaining: int, *, reset: int = 2000, seconds_left: float = 600.0) -> Window:
    return Window(limit=5000, remaining=remaining, reset=reset, seconds_left=seconds_left)


def test_nothing_is_limited_before_the_forge_has_said_anything(machine: Machine) -> None:
    assert machine.read() == 0
    assert machine.write() == 0
    assert machine.budget.allowance("the token").remaining is None


def test_the_last_request_of_an_hour_is_sent_and_none_after_it(machine: Machine) -> None:
    machine.read(window(remaining=1))

    assert machine.read(window(remaining=0)) == 0
    machine.now += 100
    assert machine.read() == 500.0
    machine.now += 500
    assert machine.read() == 0


def test_requests_under_way_count_before_they_are_answered(machine: Machine) -> None:
    machine.read(window(remaining=2))

    for _ in range(2):
        assert machine.budget.take(is_feedback=False, creates=False) == 0
    assert machine.read() > 0
    # One of them costs nothing after all, as one that is answered with `not modified` does.
    machine.budget.end(window(remaining=2))
    assert machine.read() == 0


def test_feedback_leaves_a_tenth_to_what_decides(machine: Machine) -> None:
    machine.read(window(remaining=500))

    assert machine.write() == 600.0
    assert machine.read(window(remaining=499)) == 0


def test_answers_that_come_in_another_order_give_nothing_back(machine: Machine) -> None:
    for _ in range(2):
        machine.budget.take(is_feedback=False, creates=False)
    machine.budget.end(window(remaining=0))

    machine.budget.end(window(remaining=7))

    assert machine.read() > 0


def test_an_hour_that_begins_anew_is_believed_at_once(machine: Machine) -> None:
    for _ in range(2):
        machine.budget.take(is_feedback=False, creates=False)
    machine.budget.end(window(remaining=0))

    machine.budget.end(window(remaining=4999, reset=5600))

    assert machine.read() == 0
    assert machine.budget.allowance("the token").remaining == 4999


def test_writes_are_as_many_a_minute_and_an_hour_as_github_allows(machine: Machine) -> None:
    written = 0
    began = machine.now
    while machine.now < began + HOUR_SECONDS:
        wait = machine.write()
        written += not wait
        machine.now += max(wait, 0.25)
        if machine.now < began + MINUTE_SECONDS:
            assert written <= CREATIONS_PER_MINUTE
    assert written == CREATIONS_PER_HOUR
    assert machine.write() == 0


def test_writes_are_not_counted_where_answers_say_nothing_of_limits(machine: Machine) -> None:
    for _ in range(CREATIONS_PER_MINUTE):
        machine.write()
    assert machine.write() > 0

    machine.budget.accepted(says_limits=False)
    assert not any(machine.write() for _ in range(CREATIONS_PER_HOUR))

    machine.budget.accepted(says_limits=True)
    assert machine.write() > 0


def test_too_many_writes_keep_nobody_from_reading(machine: Machine) -> None:
    for _ in range(CREATIONS_PER_MINUTE):
        machine.write()

    assert machine.write() == MINUTE_SECONDS
    assert machine.read() == 0


def test_a_pause_is_for_everything_and_never_shortened(machine: Machine) -> None:
    assert machine.budget.limited(90.0, is_said=True) == 90.0
    machine.budget.limited(10.0, is_said=True)

    assert machine.read() == machine.write() == 90.0
    machine.now += 90
    assert machine.read() == 0


def test_a_pause_of_unsaid_length_doubles_until_something_is_answered(machine: Machine) -> None:
    assert [machine.budget.limited(60.0, is_said=False) for _ in range(8)] == [
        60.0,
        120.0,
        240.0,
        480.0,
        960.0,
        1920.0,
        3600.0,
        3600.0,
    ]
    machine.budget.accepted(says_limits=True)
    assert machine.budget.limited(60.0, is_said=False) == 60.0


def test_what_is_left_is_told(machine: Machine) -> None:
    machine.write(window(remaining=42))
    machine.budget.limited(30.0, is_said=True)

    left = machine.budget.allowance("installation 7")

    assert (left.account, left.limit, left.remaining) == ("installation 7", 5000, 42)
    assert (left.creations_left, left.wait_seconds) == (CREATIONS_PER_HOUR - 1, 30.0)
    machine.now += HOUR_SECONDS
    later = machine.budget.allowance("installation 7")
    assert (later.limit, later.remaining, later.creations_left) == (None, None, CREATIONS_PER_HOUR)


def headers(**changed: str) -> dict[str, str]:
    reset = int((NOON + timedelta(minutes=10)).timestamp())
    said = {"limit": "5000", "remaining": "17", "reset": str(reset)} | changed
    return {f"x-ratelimit-{name}": value for name, value in said.items()}


def test_what_an_answer_says_is_read_by_the_forges_clock() -> None:
    read = read_window(headers(), NOON)

    assert read is not None
    assert (read.limit, read.remaining, read.seconds_left) == (5000, 17, 600.0)


@pytest.mark.parametrize(
    "said",
    [
        {},
        headers(limit="many"),
        headers(remaining="-1"),
        headers(reset="9" * 400),
        headers(reset="\N{ARABIC-INDIC DIGIT SEVEN}"),
        headers(reset=str(int((NOON - timedelta(seconds=1)).timestamp()))),
        headers(resource="search"),
    ],
    ids=["nothing", "no number", "below 0", "too long", "other digits", "past", "another resource"],
)
def test_headers_that_make_no_sense_limit_nothing(said: dict[str, str]) -> None:
    assert read_window(said, NOON) is None


def test_a_reset_that_is_far_away_is_not_waited_for_longer_than_an_hour() -> None:
    read = read_window(headers(reset=str(int(NOON.timestamp()) + 10**6)), NOON)

    assert read is not None
    assert read.seconds_left == HOUR_SECONDS

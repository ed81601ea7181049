"""A bad day deletes nobody's previews: wrong clocks, mistyped configurations, forges gone mad."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.brake import BrakeLimits
from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import Phase, PullRequest
from previews.errors import PreviewsError, StalledError, TransientError
from tests.fakes.forge import FORBIDDEN, RATE_LIMITED, UNREACHABLE
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import (
    DAY,
    DAYS_3,
    HOUR,
    MINUTE,
    comment,
    confirm_brake,
    deleted,
    expect_quiet,
    key_of,
    lose_the_store,
    reconfigure,
    town_of,
)

MANY = 20
BRAKE = BrakeLimits(removals=5, share=0.3, window=timedelta(minutes=10))


def busy_town(count: int = MANY) -> tuple[Town, list[int]]:
    town = town_of(DAYS_3, brake=BRAKE)
    numbers = [town.open() for _ in range(count)]
    town.settle()
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    return town, numbers


@pytest.mark.fault(17)
def test_a_clock_that_jumps_days_ahead_removes_nobody() -> None:
    town, numbers = busy_town()
    files = dict(town.gitops.files)
    town.clock.wrong_by = timedelta(days=4)
    town.settle(2 * HOUR)
    town.start()
    town.settle(2 * HOUR)
    assert deleted(town) == 0
    assert town.gitops.files == files
    state = town.loop.brake_state()
    assert state.holds
    assert len(state.held) == MANY
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    assert {town.record(n).reason for n in numbers} == {"BrakeHolds"}
    assert "a person has to confirm it" in town.record(numbers[0]).message
    expect_quiet(town)


@pytest.mark.fault(17)
def test_a_clock_that_is_set_right_again_lets_the_brake_go_and_nobody_is_gone() -> None:
    town, numbers = busy_town()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(2 * HOUR)
    town.clock.wrong_by = timedelta()
    town.settle(2 * HOUR)
    assert deleted(town) == 0
    assert not town.loop.brake_state().holds
    assert {(town.phase(n), town.record(n).reason) for n in numbers} == {(Phase.LIVE, "Live")}
    expect_quiet(town)


def test_what_the_brake_held_goes_once_somebody_confirms_it() -> None:
    town, numbers = busy_town()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(HOUR)
    state = confirm_brake(town, "alice")
    assert [key.number for key, _ in state.held] == numbers
    town.settle(HOUR)
    assert {town.phase(n) for n in numbers} == {Phase.EXPIRED}
    assert not town.loop.brake_state().holds
    assert all("nothing is left" in comment(town, n) for n in numbers)
    expect_quiet(town)


@pytest.mark.fault(39)
def test_whoever_came_after_the_confirmation_is_not_meant_by_it() -> None:
    town, _ = busy_town()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(HOUR)
    later = town.open()
    confirm_brake(town, "alice")
    town.settle(HOUR)
    assert town.phase(later) is Phase.LIVE


def test_a_removal_that_somebody_asks_for_passes_a_brake_that_holds() -> None:
    town, numbers = busy_town()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(HOUR)
    town.loop.actions.remove(key_of(numbers[0]), actor="alice")
    town.settle(HOUR)
    assert town.phase(numbers[0]) is Phase.EXPIRED
    assert town.left_of(numbers[0]) == set()
    assert {town.phase(n) for n in numbers[1:]} == {Phase.LIVE}


def test_a_preview_of_which_the_brake_holds_the_removal_lives_on_after_a_push() -> None:
    town, numbers = busy_town()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(HOUR)
    town.push(numbers[0])
    town.settle(HOUR)
    assert (town.phase(numbers[0]), town.record(numbers[0]).reason) == (Phase.LIVE, "Live")


@pytest.mark.fault(39)
def test_a_mistyped_time_to_live_removes_nobody_before_somebody_confirms() -> None:
    town, numbers = busy_town()
    files = dict(town.gitops.files)
    town.settle(HOUR)
    reconfigure(town, LifetimePolicy(ttl=timedelta(minutes=1)))
    town.settle(2 * HOUR)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY
    reconfigure(town, DAYS_3)
    town.settle(HOUR)
    assert {(town.phase(n), town.record(n).reason) for n in numbers} == {(Phase.LIVE, "Live")}
    assert town.gitops.files == files
    expect_quiet(town)
    reconfigure(town, LifetimePolicy(ttl=timedelta(minutes=1)))
    town.settle(HOUR)
    confirm_brake(town, "alice")
    town.settle(HOUR)
    assert {town.phase(n) for n in numbers} == {Phase.EXPIRED}


def test_a_mistyped_time_to_live_and_a_lost_store_remove_nobody_either() -> None:
    town, numbers = busy_town()
    town.settle(HOUR)
    town.store = type(town.store)()
    reconfigure(town, LifetimePolicy(ttl=timedelta(minutes=1)))
    town.settle(HOUR)
    assert deleted(town) == 0
    assert {town.record(n).reason for n in numbers} == {"BrakeHolds"}


def test_a_clock_ahead_and_a_lost_store_remove_nobody_either() -> None:
    town, _ = busy_town()
    town.settle(HOUR)
    town.clock.wrong_by = timedelta(days=4)
    lose_the_store(town)
    town.settle(HOUR)
    assert deleted(town) == 0


def test_previews_whose_time_is_really_over_go_without_anybody_confirming() -> None:
    town = town_of(DAYS_3, brake=BRAKE)
    numbers = []
    for _ in range(MANY):
        numbers.append(town.open())
        town.settle(2 * HOUR)
    town.settle(4 * DAY)
    assert {town.phase(n) for n in numbers} == {Phase.EXPIRED}


def closed(listed: list[PullRequest]) -> list[PullRequest]:
    return [replace(each, is_open=False) for each in listed]


def seen(town: Town) -> list[PullRequest]:
    return town.forge.list_open_pull_requests(REPOSITORY)


def empty_and_silent(town: Town) -> None:
    town.forge.list_instead(REPOSITORY, [])
    town.forge.fail(UNREACHABLE, on="fetch_pull_request")


FALSE_READS: dict[str, Callable[[Town], None]] = {
    "[]": lambda town: town.forge.list_instead(REPOSITORY, []),
    "a truncated page": lambda town: town.forge.list_instead(REPOSITORY, seen(town)[:30]),
    "a timeout": lambda town: town.forge.fail(UNREACHABLE),
    "5xx": lambda town: town.forge.fail(TransientError("ForgeUnreachable", "503 from the forge")),
    "403": lambda town: town.forge.fail(FORBIDDEN),
    "429": lambda town: town.forge.fail(RATE_LIMITED),
    "404 of everything": lambda town: town.forge.hide(REPOSITORY),
    "HTML": lambda town: town.forge.fail(
        StalledError("ForgeAnswer", "an HTML page where JSON should be")
    ),
    "[], and nothing by itself": empty_and_silent,
}


@pytest.mark.fault(39)
def test_a_forge_that_answers_falsely_about_a_hundred_removes_nobody() -> None:
    town, numbers = busy_town(100)
    files = dict(town.gitops.files)
    for name, lie in FALSE_READS.items():
        lie(town)
        town.resync()
        for number in numbers:
            town.deliver(number)
        town.settle(2 * MINUTE)
        town.start()
        town.settle(2 * MINUTE)
        assert (deleted(town), town.gitops.files) == (0, files), name
        town.forge.heal()
        repository = town.forge.find_repository(REPOSITORY)
        assert repository is not None
        repository.visible = True
        town.resync()
        town.settle(10 * MINUTE)
        assert {town.phase(n) for n in numbers} == {Phase.LIVE}, name
    assert deleted(town) == 0


def test_yesterdays_list_neither_removes_nor_resurrects() -> None:
    town, numbers = busy_town()
    yesterday = seen(town)
    gone, new = numbers[0], town.open()
    town.close(gone)
    town.settle(HOUR)
    removed = deleted(town)
    town.forge.list_instead(REPOSITORY, yesterday)
    for _ in range(3):
        town.resync()
        town.settle(HOUR)
    assert deleted(town) == removed
    assert town.left_of(gone) == set()
    assert town.phase(new) is Phase.LIVE


@pytest.mark.fault(39)
def test_a_forge_that_calls_everything_closed_meets_the_brake_and_heals() -> None:
    town, numbers = busy_town()
    for number in numbers:
        town.forge.close(REPOSITORY, number)
    town.resync()
    town.settle(HOUR)
    assert deleted(town) == 0
    town.start()
    town.settle(HOUR)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY
    for number in numbers:
        town.forge.reopen(REPOSITORY, number)
    town.resync()
    town.settle(HOUR)
    assert {(town.phase(n), town.record(n).reason) for n in numbers} == {(Phase.LIVE, "Live")}
    assert deleted(town) == 0
    expect_quiet(town)


def test_a_few_that_are_closed_at_once_are_nothing_to_hold() -> None:
    town, numbers = busy_town()
    for number in numbers[:5]:
        town.forge.close(REPOSITORY, number)
    town.resync()
    town.settle(HOUR)
    assert {town.phase(n) for n in numbers[:5]} == {Phase.REMOVED}
    assert not town.loop.brake_state().holds


def test_a_restart_does_not_give_the_brake_a_fresh_start() -> None:
    """Five removals begin, the manager restarts within the window, and five more want to go."""
    town, numbers = busy_town(12)
    for number in numbers[:5]:
        town.close(number)
    town.settle(MINUTE)
    assert {town.phase(n) for n in numbers[:5]} == {Phase.REMOVED}
    town.start()
    for number in numbers[5:10]:
        town.close(number)
    town.settle(MINUTE)
    assert {town.phase(n) for n in numbers[5:10]} == {Phase.LIVE}
    assert town.loop.brake_state().begun == 5


def test_a_removal_that_was_under_way_goes_on_although_the_brake_holds_others() -> None:
    town, numbers = busy_town()
    first = numbers[0]
    town.cluster.hold(f"preview-shop-pr-{first}", "a finalizer")
    town.close(first)
    town.settle()
    town.clock.wrong_by = timedelta(days=4)
    town.settle(HOUR)
    assert town.loop.brake_state().holds
    town.start()
    town.cluster.let_go(f"preview-shop-pr-{first}")
    town.settle(HOUR)
    assert town.phase(first) is Phase.REMOVED
    assert {town.phase(n) for n in numbers[1:]} == {Phase.LIVE}


def test_a_preview_deleted_at_the_forge_does_not_count_and_does_not_go() -> None:
    town, numbers = busy_town(3)
    error: PreviewsError = StalledError("ForgeAnswer", "gone")
    town.forge.fail(error, on=f"#{numbers[0]}")
    town.deliver(numbers[0])
    town.settle(HOUR)
    assert deleted(town) == 0

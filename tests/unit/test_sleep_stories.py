"""Previews that nobody visits fall asleep in Git, and wake up without anybody seeing an error."""

from datetime import time, timedelta

import pytest

from previews.domain.caps import Caps
from previews.domain.lifetime import VISITOR, LifetimePolicy, SleepHours
from previews.domain.preview import Mode, Phase
from previews.domain.record import StatusState
from previews.errors import ActionRefusedError
from tests.fakes.town import Town
from tests.fakes.traffic import FakeTraffic
from tests.unit.lives import (
    DAY,
    HOUR,
    MINUTE,
    comment,
    deleted,
    expect_quiet,
    happened,
    key_of,
    lose_the_store,
    mode_in_git,
    said_in_git,
    town_of,
    wait,
)

IDLE = LifetimePolicy(sleep_after=timedelta(hours=1))
NIGHTS = LifetimePolicy(
    sleep_hours=(SleepHours(frozenset(range(5)), time(20), time(7), "Europe/Berlin"),)
)


def asleep_town(policy: LifetimePolicy | None = None, **named: object) -> tuple[Town, int]:
    """One preview, put to sleep by alice."""
    town = town_of(policy, **named)  # type: ignore[arg-type]  # those of town_of
    number = town.open()
    town.settle()
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.ASLEEP, Mode.ASLEEP)
    return town, number


def test_put_to_sleep_it_runs_nothing_and_claims_no_host_in_one_commit() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    commits = len(town.gitops.history)
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle()
    assert town.phase(number) is Phase.ASLEEP
    assert mode_in_git(town, number) is Mode.ASLEEP
    assert len(town.gitops.history) == commits + 1
    assert said_in_git(town, number)["asleep"].endswith(" alice")
    assert said_in_git(town, number)["sleep-asked"].endswith(" alice")
    assert deleted(town) == 0
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS
    assert happened(town, number) == ["WentLive", "Sleep", "WentToSleep"]
    expect_quiet(town)


def test_a_visitor_wakes_it_and_its_host_is_claimed_only_when_its_pods_answer() -> None:
    town, number = asleep_town()
    commits = len(town.gitops.history)
    town.argocd.deploys = False
    town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.WAKING, Mode.WARMING)
    town.argocd.finishes("shop-pr-1", health="Progressing")
    town.settle()
    assert mode_in_git(town, number) is Mode.WARMING, "no host before the pods answer"
    town.argocd.finishes("shop-pr-1")
    town.settle()
    assert mode_in_git(town, number) is Mode.AWAKE
    assert town.phase(number) is Phase.WAKING
    town.argocd.finishes("shop-pr-1")
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert len(town.gitops.history) == commits + 2
    assert deleted(town) == 0
    expect_quiet(town)


def test_twenty_visitors_at_once_wake_it_once() -> None:
    town, number = asleep_town()
    commits = len(town.gitops.history)
    for _ in range(20):
        town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert len(town.gitops.history) == commits + 2
    assert happened(town, number).count("Wake") == 1


def test_it_falls_asleep_again_while_it_was_only_waking() -> None:
    town, number = asleep_town()
    town.argocd.deploys = False
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle()
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle()
    town.argocd.finishes("shop-pr-1")
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.ASLEEP, Mode.ASLEEP)
    expect_quiet(town)


def test_nobody_visits_it_and_it_falls_asleep() -> None:
    traffic = FakeTraffic()
    town = town_of(IDLE, traffic=traffic)
    used, idle = town.open(), town.open()
    town.settle()
    for _ in range(12):
        wait(town, 10 * MINUTE)
        traffic.serve(f"preview-shop-pr-{used}")
    assert (town.phase(used), town.phase(idle)) == (Phase.LIVE, Phase.ASLEEP)
    assert mode_in_git(town, idle) is Mode.ASLEEP
    assert "nobody visited it" in comment(town, idle)
    wait(town, 2 * HOUR)
    assert town.phase(used) is Phase.ASLEEP
    expect_quiet(town)


def test_nobody_is_known_to_be_idle_while_requests_are_not_counted() -> None:
    traffic = FakeTraffic()
    town = town_of(IDLE, traffic=traffic)
    number = town.open()
    town.settle(3 * HOUR)
    assert town.phase(number) is Phase.LIVE
    traffic.unavailable = True
    wait(town, 3 * HOUR)
    assert town.phase(number) is Phase.LIVE
    traffic.unavailable = False
    wait(town, HOUR - 5 * MINUTE)
    assert town.phase(number) is Phase.LIVE, "silence counts from the first look on"
    wait(town, 10 * MINUTE)
    assert town.phase(number) is Phase.ASLEEP


def test_a_restart_counts_the_silence_anew() -> None:
    traffic = FakeTraffic()
    town = town_of(IDLE, traffic=traffic)
    number = town.open()
    wait(town, HOUR - 10 * MINUTE)
    town.start()
    wait(town, 30 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    wait(town, HOUR)
    assert town.phase(number) is Phase.ASLEEP


def test_nights_are_slept_through_and_a_visitor_is_let_in_for_a_while() -> None:
    town = town_of(NIGHTS)
    number = town.open()
    town.settle(9 * HOUR)
    assert town.phase(number) is Phase.LIVE, "18:00 UTC is 19:00 in Berlin"
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.ASLEEP
    town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    town.settle(HOUR)
    assert town.phase(number) is Phase.ASLEEP
    pushes = town.gitops.pushes
    town.settle(5 * HOUR)
    assert town.gitops.pushes == pushes
    expect_quiet(town)


def test_a_push_to_a_sleeping_preview_wakes_it_with_the_new_commit() -> None:
    town, number = asleep_town()
    town.push(number)
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)
    head_sha = town.forge.pull_request("acme/shop", number).head_sha
    assert head_sha in town.gitops.files[f"shop/0/pr-{number}/application.yaml"]
    expect_quiet(town)


def test_a_push_whose_image_is_not_built_yet_leaves_it_asleep_until_it_is() -> None:
    town, number = asleep_town()
    town.push(number, image=False)
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.WAITING_FOR_IMAGE
    assert mode_in_git(town, number) is Mode.ASLEEP
    town.push_image(number)
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.LIVE


def test_sleep_outlives_a_restart_and_a_lost_store() -> None:
    town, number = asleep_town(IDLE)
    pushes = town.gitops.pushes
    town.start()
    town.settle(HOUR)
    assert town.phase(number) is Phase.ASLEEP
    lose_the_store(town)
    town.settle(HOUR)
    assert town.phase(number) is Phase.ASLEEP
    assert town.gitops.pushes == pushes
    assert deleted(town) == 0
    town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    expect_quiet(town)


def test_an_idle_sleep_outlives_a_lost_store() -> None:
    traffic = FakeTraffic()
    town = town_of(IDLE, traffic=traffic)
    number = town.open()
    wait(town, 2 * HOUR)
    assert town.phase(number) is Phase.ASLEEP
    pushes = town.gitops.pushes
    lose_the_store(town)
    wait(town, HOUR)
    assert town.phase(number) is Phase.ASLEEP
    assert town.gitops.pushes == pushes


def test_a_restart_while_it_wakes_finishes_the_waking() -> None:
    town, number = asleep_town()
    town.argocd.deploys = False
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle()
    assert mode_in_git(town, number) is Mode.WARMING
    town.argocd.deploys = True
    town.argocd.finishes("shop-pr-1")
    town.start()
    town.settle(10 * MINUTE)
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)
    expect_quiet(town)


def test_a_restart_with_the_store_lost_while_it_wakes_finishes_the_waking() -> None:
    town, number = asleep_town()
    town.argocd.deploys = False
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle()
    assert mode_in_git(town, number) is Mode.WARMING
    town.argocd.deploys = True
    town.argocd.finishes("shop-pr-1")
    lose_the_store(town)
    town.settle(10 * MINUTE)
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)


def test_a_sleeping_preview_expires_as_any_other_and_closing_removes_it() -> None:
    town, number = asleep_town(LifetimePolicy(ttl=timedelta(days=3)))
    other = town.open()
    town.settle()
    town.loop.actions.sleep(key_of(other), actor="alice")
    town.settle()
    town.close(other)
    town.settle()
    assert (town.phase(other), town.left_of(other)) == (Phase.REMOVED, set())
    town.settle(4 * DAY)
    assert (town.phase(number), town.left_of(number)) == (Phase.EXPIRED, set())
    expect_quiet(town)


def test_a_sleeping_preview_of_a_reopened_pull_request_is_awake() -> None:
    town, number = asleep_town()
    town.close(number)
    town.settle()
    town.reopen(number)
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)


def test_what_is_gone_does_not_sleep() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle()
    with pytest.raises(ActionRefusedError, match="it cannot sleep"):
        town.loop.actions.sleep(key_of(number), actor="alice")


def test_a_redeployment_of_a_sleeping_preview_wakes_it() -> None:
    town, number = asleep_town()
    town.settle(HOUR)
    town.loop.actions.redeploy(key_of(number), actor="bob")
    town.settle()
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)


def test_what_was_put_to_sleep_by_a_clock_that_was_ahead_can_be_woken() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    town.clock.wrong_by = timedelta(days=1)
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle()
    assert town.phase(number) is Phase.ASLEEP
    town.clock.wrong_by = timedelta()
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.LIVE


def test_what_was_woken_by_a_clock_that_was_ahead_can_be_put_to_sleep() -> None:
    town, number = asleep_town()
    town.clock.wrong_by = timedelta(days=1)
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle()
    town.clock.wrong_by = timedelta()
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.ASLEEP


def test_a_pod_that_never_gets_well_is_shown_as_such_and_claims_no_host() -> None:
    town, number = asleep_town()
    town.argocd.deploys = False
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle()
    town.argocd.finishes("shop-pr-1", health="Degraded")
    town.settle(20 * MINUTE)
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.DEGRADED, Mode.WARMING)
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.FAILURE
    expect_quiet(town)


def test_no_more_are_woken_than_may_be_awake_and_those_that_wait_are_told() -> None:
    town = town_of(caps=Caps(awake=2))
    numbers = []
    for _ in range(4):
        numbers.append(town.open())
        town.settle()
        town.loop.actions.sleep(key_of(numbers[-1]), actor="alice")
        town.settle()
    for number in numbers:
        town.loop.actions.wake(key_of(number), actor=VISITOR)
        town.settle(MINUTE)
    assert [town.phase(n) for n in numbers] == [Phase.LIVE, Phase.LIVE, Phase.ASLEEP, Phase.ASLEEP]
    assert "number 1 in the queue" in town.record(numbers[2]).message
    assert "number 2 in the queue" in town.record(numbers[3]).message
    expect_quiet(town)
    town.start()
    town.settle(MINUTE)
    assert [mode_in_git(town, n) for n in numbers].count(Mode.AWAKE) == 2
    town.loop.actions.sleep(key_of(numbers[0]), actor="alice")
    town.settle(MINUTE)
    assert (town.phase(numbers[2]), town.phase(numbers[3])) == (Phase.LIVE, Phase.ASLEEP)
    assert "number 1 in the queue" in town.record(numbers[3]).message
    town.close(numbers[1])
    town.settle(5 * MINUTE)
    assert town.phase(numbers[3]) is Phase.LIVE
    expect_quiet(town)

"""How long previews live: stories on fakes of what time, people and a wrong clock do to them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.lifetime import VISITOR, Anchor, LifetimePolicy
from previews.domain.preview import Phase
from previews.errors import ActionRefusedError
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import (
    DAY,
    DAYS_3,
    HOUR,
    MINUTE,
    comment,
    expect_quiet,
    happened,
    key_of,
    lose_the_store,
    reconfigure,
    said_in_git,
    town_of,
)


def expired_town() -> tuple[Town, int]:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(3 * DAY + HOUR)
    assert town.phase(number) is Phase.EXPIRED
    return town, number


def test_a_preview_expires_after_its_time_and_leaves_nothing() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(3 * DAY - MINUTE)
    assert town.phase(number) is Phase.LIVE
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.EXPIRED
    assert town.left_of(number) == set()
    assert "its time was over" in comment(town, number)
    assert "nothing is left" in comment(town, number)
    expect_quiet(town)


def test_an_expired_preview_comes_back_by_a_push_and_lives_its_whole_time_again() -> None:
    town, number = expired_town()
    town.push(number)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    town.settle(3 * DAY - HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.EXPIRED
    expect_quiet(town)


COMEBACKS: dict[str, Callable[[Town, int], None]] = {
    "wake": lambda town, n: town.loop.actions.wake(key_of(n), actor="alice"),
    "redeploy": lambda town, n: town.loop.actions.redeploy(key_of(n), actor="alice"),
    "pin": lambda town, n: town.loop.actions.pin(key_of(n), actor="alice"),
    "extend": lambda town, n: town.loop.actions.extend(key_of(n), timedelta(days=1), actor="alice"),
}


@pytest.mark.parametrize("act", COMEBACKS.values(), ids=COMEBACKS.keys())
def test_an_expired_preview_comes_back_when_somebody_asks(act: Callable[[Town, int], None]) -> None:
    town, number = expired_town()
    act(town, number)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    expect_quiet(town)
    town.settle(2 * DAY)
    assert town.phase(number) is Phase.LIVE
    town.start()
    town.settle()
    assert town.phase(number) is Phase.LIVE


@pytest.mark.parametrize("act", COMEBACKS.values(), ids=COMEBACKS.keys())
def test_whatever_brings_an_expired_preview_back_brings_one_that_somebody_removed(
    act: Callable[[Town, int], None],
) -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.remove(key_of(number), actor="bob")
    town.settle()
    assert (town.phase(number), town.left_of(number)) == (Phase.EXPIRED, set())
    assert "removed by bob" in comment(town, number)
    act(town, number)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    expect_quiet(town)


def test_a_visit_brings_nothing_back() -> None:
    town, number = expired_town()
    with pytest.raises(ActionRefusedError, match="a visit does not bring it back"):
        town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.settle(HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_a_visit_while_it_is_being_removed_brings_nothing_back_either() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.cluster.hold(f"preview-shop-pr-{number}", "a finalizer")
    town.settle(3 * DAY + HOUR)
    assert town.phase(number) is Phase.REMOVING
    with suppress(ActionRefusedError):
        town.loop.actions.wake(key_of(number), actor=VISITOR)
    town.cluster.let_go(f"preview-shop-pr-{number}")
    town.settle(HOUR)
    assert town.phase(number) is Phase.EXPIRED
    assert town.left_of(number) == set()


def test_people_are_warned_before_it_expires_and_told_when() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    said = "shop expires on 2026-03-05 09:00 UTC (in 3 d, as of 2026-03-02 09:00)"
    assert f"{said}, counted from the last push." in comment(town, number)
    assert "⚠️" not in comment(town, number)
    town.settle(3 * DAY - 7 * HOUR)
    assert "⚠️" not in comment(town, number)
    town.settle(2 * HOUR)
    warned = "⚠️ **shop expires on 2026-03-05 09:00 UTC** (in 6 h, as of 2026-03-05 03:00)"
    assert warned in comment(town, number)
    expiry = town.record(number).expiry
    assert expiry is not None
    assert expiry.is_near
    expect_quiet(town)


def test_the_expiry_stands_in_git_and_changing_it_redeploys_nothing() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    assert said_in_git(town, number)["expires-at"] == "2026-03-05T09:00:00Z"
    before = town.gitops.files[f"shop/0/pr-{number}/application.yaml"]
    since = town.record(number).manifests_since
    town.loop.actions.extend(key_of(number), timedelta(days=1), actor="alice")
    town.settle()
    assert said_in_git(town, number)["expires-at"] == "2026-03-06T09:00:00Z"
    assert said_in_git(town, number)["extended"].endswith(" alice")
    assert town.gitops.files[f"shop/0/pr-{number}/application.yaml"] == before
    assert town.record(number).manifests_since == since
    assert town.phase(number) is Phase.LIVE
    assert "extended by alice" in comment(town, number)
    expect_quiet(town)


def test_extended_it_lives_for_longer_and_then_expires() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.extend(key_of(number), timedelta(days=2), actor="alice")
    town.settle(4 * DAY + 23 * HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_extended_while_it_is_being_removed_it_goes_and_comes_back_as_a_new_one() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.cluster.hold(f"preview-shop-pr-{number}", "a finalizer")
    town.settle(3 * DAY + HOUR)
    town.loop.actions.extend(key_of(number), timedelta(days=1), actor="alice")
    town.settle()
    assert town.phase(number) is Phase.REMOVING
    town.cluster.let_go(f"preview-shop-pr-{number}")
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    assert town.cluster.created[f"Namespace preview-shop-pr-{number}"] == 2
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is not None
    expect_quiet(town)


def test_extended_in_the_last_minute_it_just_stays() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(3 * DAY - MINUTE)
    town.loop.actions.extend(key_of(number), timedelta(days=1), actor="alice")
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    assert town.cluster.created[f"Namespace preview-shop-pr-{number}"] == 1


def test_a_pin_keeps_it_and_unpinned_it_expires_at_once() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.pin(key_of(number), timedelta(days=10), actor="alice")
    town.settle(9 * DAY)
    assert town.phase(number) is Phase.LIVE
    assert "pinned by alice" in comment(town, number)
    expect_quiet(town)
    town.loop.actions.unpin(key_of(number), actor="bob")
    town.settle(HOUR)
    assert town.phase(number) is Phase.EXPIRED
    assert happened(town, number)[-4:] == ["Pin", "Unpin", "RemovalBegan", "NothingLeft"]


def test_a_pin_ends_by_itself() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.pin(key_of(number), timedelta(days=10), actor="alice")
    town.settle(10 * DAY + HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_a_label_sets_the_time_to_live_and_taking_it_off_sets_it_back() -> None:
    town = town_of(DAYS_3)
    number, other = town.open(), town.open()
    town.forge.set_labels(REPOSITORY, number, "preview-ttl: 5h")
    town.deliver(number)
    town.settle(4 * HOUR)
    assert town.phase(number) is Phase.LIVE
    assert "in 5 h, as of" in comment(town, number)
    town.settle(2 * HOUR)
    assert (town.phase(number), town.phase(other)) == (Phase.EXPIRED, Phase.LIVE)
    expect_quiet(town)


def test_a_label_asks_for_no_more_than_the_server_allows() -> None:
    town = town_of(replace(DAYS_3, ttl_max=timedelta(days=5)))
    number = town.open()
    town.forge.set_labels(REPOSITORY, number, "preview-ttl: 400d")
    town.deliver(number)
    town.settle(5 * DAY - HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_counted_from_creation_no_push_makes_it_live_longer() -> None:
    town = town_of(replace(DAYS_3, anchor=Anchor.CREATION))
    number = town.open()
    town.settle(2 * DAY)
    town.push(number)
    town.settle(DAY - HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_a_reopened_pull_request_lives_its_whole_time_however_old_its_commit_is() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(DAY)
    town.close(number)
    town.settle(20 * DAY)
    town.reopen(number)
    town.settle(3 * DAY - HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(2 * HOUR)
    assert town.phase(number) is Phase.EXPIRED


def test_the_receipt_has_every_thing_with_its_time_and_outlives_a_restart() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    town.cluster.hold(f"preview-shop-pr-{number}", "a finalizer")
    began = town.clock.now()
    town.close(number)
    town.settle(10 * MINUTE)
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is None
    assert [gone.kind for gone in removal.gone] == ["Application", "Files in Git"]
    town.start()
    town.settle(MINUTE)
    town.cluster.let_go(f"preview-shop-pr-{number}")
    town.settle(10 * MINUTE)
    receipt = town.record(number).removal
    assert receipt is not None
    assert (receipt.cause, receipt.by) == ("PullRequestClosed", "previews")
    assert receipt.started_at == removal.started_at
    assert {(gone.kind, gone.name) for gone in receipt.gone} == {
        ("Application", "shop-pr-1"),
        ("Namespace", "preview-shop-pr-1"),
        ("AppProject", "0-shop-pr-1"),
        ("Files in Git", "shop/0/pr-1"),
    }
    times = [gone.at for gone in receipt.gone]
    assert receipt.finished_at is not None
    assert all(began <= at <= receipt.finished_at for at in times)
    assert receipt.gone[0] == removal.gone[0]
    assert "| Namespace | `preview-shop-pr-1` |" in comment(town, number)
    town.start()
    town.settle(10 * MINUTE)
    assert town.record(number).removal == receipt
    assert happened(town, number) == ["WentLive", "RemovalBegan", "NothingLeft"]
    expect_quiet(town)


def test_a_pull_request_closed_after_its_preview_expired_keeps_that_receipt() -> None:
    town, number = expired_town()
    receipt = town.record(number).removal
    town.close(number)
    town.settle()
    assert town.phase(number) is Phase.REMOVED
    assert town.record(number).removal == receipt
    expect_quiet(town)


def test_a_lost_store_keeps_the_expiry_pins_and_extensions() -> None:
    town = town_of(DAYS_3)
    plain, pinned, extended = (town.open() for _ in range(3))
    town.settle()
    town.loop.actions.pin(key_of(pinned), timedelta(days=10), actor="alice")
    town.loop.actions.extend(key_of(extended), timedelta(days=5), actor="bob")
    town.settle(DAY)
    files = dict(town.gitops.files)
    shown = {n: town.record(n).expiry for n in (plain, pinned, extended)}
    lose_the_store(town)
    town.settle(10 * MINUTE)
    assert {n: town.record(n).expiry for n in (plain, pinned, extended)} == shown
    assert town.gitops.files == files
    town.settle(3 * DAY)
    phases = [town.phase(n) for n in (plain, pinned, extended)]
    assert phases == [Phase.EXPIRED, Phase.LIVE, Phase.LIVE]
    expect_quiet(town)


@pytest.mark.fault(19)
def test_a_store_of_yesterday_does_not_forget_what_was_asked_today() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    record, wishes = town.record(number), town.store.load_wishes(key_of(number))
    town.settle(DAY)
    town.loop.actions.pin(key_of(number), timedelta(days=10), actor="alice")
    town.settle()
    files = dict(town.gitops.files)
    town.store = type(town.store)()
    town.store.save(record)
    town.store.save_wishes(key_of(number), wishes)
    town.start()
    town.settle(5 * DAY)
    assert town.phase(number) is Phase.LIVE
    assert town.gitops.files == files
    expect_quiet(town)


def test_a_pin_taken_back_stays_taken_back_with_a_store_of_yesterday() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.pin(key_of(number), timedelta(days=10), actor="alice")
    town.settle(HOUR)
    record, wishes = town.record(number), town.store.load_wishes(key_of(number))
    town.loop.actions.unpin(key_of(number), actor="bob")
    town.settle()
    town.store = type(town.store)()
    town.store.save(record)
    town.store.save_wishes(key_of(number), wishes)
    town.start()
    town.settle(3 * DAY)
    assert town.phase(number) is Phase.EXPIRED


@pytest.mark.fault(17)
def test_a_clock_that_was_ahead_for_a_while_ends_nobody_for_good() -> None:
    """Three previews expire by a wrong clock; set right, they are back, and live as long as they should."""
    town = town_of(DAYS_3)
    numbers = [town.open() for _ in range(3)]
    town.settle(HOUR)
    town.clock.wrong_by = timedelta(days=4)
    town.settle(2 * HOUR)
    town.clock.wrong_by = timedelta()
    town.start()
    town.settle(3 * HOUR)
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    town.settle(2 * DAY)
    for number in numbers:
        town.push(number)
    town.settle(2 * DAY)
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}


def test_a_project_without_a_time_to_live_keeps_its_previews() -> None:
    town = town_of(LifetimePolicy(ttl=None))
    number = town.open()
    town.settle(100 * DAY)
    assert town.phase(number) is Phase.LIVE
    with pytest.raises(ActionRefusedError, match="does not expire"):
        town.loop.actions.extend(key_of(number), timedelta(days=1), actor="alice")
    expect_quiet(town)


def test_a_longer_time_to_live_counts_after_the_restart_and_ends_nothing() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(2 * DAY)
    reconfigure(town, LifetimePolicy(ttl=timedelta(days=6)))
    town.settle(3 * DAY)
    assert town.phase(number) is Phase.LIVE
    assert said_in_git(town, number)["expires-at"] == "2026-03-08T09:00:00Z"
    expect_quiet(town)


def test_what_was_done_is_in_the_history_with_who_did_it() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.pin(key_of(number), timedelta(days=1), actor="alice")
    town.settle()
    town.loop.actions.remove(key_of(number), actor="bob")
    town.settle()
    entries = town.store.history(key_of(number))
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("previews", "WentLive"),
        ("alice", "Pin"),
        ("bob", "Remove"),
        ("bob", "RemovalBegan"),
        ("previews", "NothingLeft"),
    ]
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)

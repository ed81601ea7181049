"""A pull request that the forge does not know: its preview stays as it is, until somebody says that it may go."""

import pytest

from previews.domain.caps import Caps
from previews.domain.preview import Phase
from previews.domain.record import Removal
from previews.errors import ActionRefusedError
from tests.fakes.forge import UNREACHABLE
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.lives import HOUR, MINUTE, expect_quiet, key_of, lose_the_store

DATABASE = "preview_shop_pr_{number}"


def town_of_two(*, is_app: bool = False) -> tuple[Town, int]:
    """One that the forge is about to forget, and another that nothing happens to."""
    town = Town([project("shop", database=OWN_DATABASE)], is_app=is_app)
    number = town.open()
    town.open()
    town.settle()
    return town, number


def vanish(town: Town, number: int) -> None:
    """The pull request is deleted at the forge, and the manager finds out."""
    town.forge.delete_pull_request(REPOSITORY, number)
    town.resync()
    town.settle()


def some_hours(town: Town) -> None:
    for _ in range(5):
        town.settle(HOUR)
        town.resync()
        town.manager.collect()
    town.settle()


def expect_all_of_it(town: Town, number: int) -> None:
    left = {each for each in town.left_of(number) if "/" not in each}
    assert left == {"Application", "Namespace", "AppProject"}
    assert DATABASE.format(number=number) in town.databases.databases


def expect_nothing_of_it(town: Town, number: int) -> None:
    assert town.left_of(number) == set()
    assert DATABASE.format(number=number) not in town.databases.databases


def receipt_of(town: Town, number: int) -> Removal:
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is not None
    return removal


@pytest.mark.parametrize("restarted", [False, True])
def test_it_stays_until_somebody_removes_it_with_a_receipt(*, restarted: bool) -> None:
    town, number = town_of_two()
    vanish(town, number)
    if restarted:
        town.start()
    some_hours(town)
    expect_all_of_it(town, number)
    assert town.record(number).reason == "PullRequestNotFound"
    expect_quiet(town)

    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)

    expect_nothing_of_it(town, number)
    record, receipt = town.record(number), receipt_of(town, number)
    assert (record.phase, record.reason, record.expiry) == (Phase.REMOVED, "NothingLeft", None)
    assert (receipt.cause, receipt.by) == ("RemovedByHand", "alice")
    assert "Database and role" in {each.kind for each in receipt.gone}
    assert town.phase(2) is Phase.LIVE
    assert town.left_of(2)
    expect_quiet(town)


def test_its_deployments_go_as_well() -> None:
    town, number = town_of_two(is_app=True)
    vanish(town, number)
    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_nothing_of_it(town, number)
    assert town.phase(number) is Phase.REMOVED
    tasks = {each.task for each in town.forge.deployments_of(REPOSITORY)}
    assert tasks == {"previews:acme:shop#2"}


@pytest.mark.parametrize("restarted", [False, True])
def test_nobody_has_to_touch_git_and_it_does_no_harm(*, restarted: bool) -> None:
    town, number = town_of_two()
    vanish(town, number)
    if restarted:
        town.start()
    folder = f"shop/0/pr-{number}/"
    files = [path for path in town.gitops.files if path.startswith(folder)]
    town.gitops.commit_as_another(dict.fromkeys(files))
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle()
    # Argo CD looks every few minutes by itself.
    assert town.gitops.tip is not None
    town.argocd.looks(town.gitops.tip.files, town.gitops.tip.id)
    some_hours(town)
    expect_nothing_of_it(town, number)


def test_a_removal_that_is_under_way_goes_on_after_a_restart() -> None:
    town, number = town_of_two()
    town.cluster.hold(f"preview-shop-pr-{number}")
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle()
    assert town.phase(number) is Phase.REMOVING
    vanish(town, number)
    town.start()
    town.settle()
    town.cluster.let_go(f"preview-shop-pr-{number}")
    some_hours(town)
    expect_nothing_of_it(town, number)
    assert receipt_of(town, number).by == "alice"


def test_what_a_closed_one_left_goes_by_the_same_word() -> None:
    town, number = town_of_two()
    town.cluster.hold(f"preview-shop-pr-{number}")
    town.close(number)
    town.settle()
    vanish(town, number)
    # So that it is read once more.
    town.start()
    town.deliver(number)
    town.cluster.let_go(f"preview-shop-pr-{number}")
    some_hours(town)
    assert town.record(number).reason == "PullRequestNotFound"
    assert DATABASE.format(number=number) in town.databases.databases

    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_nothing_of_it(town, number)


def test_what_is_left_after_the_store_was_lost_goes_by_the_same_word() -> None:
    town, number = town_of_two()
    town.forge.delete_pull_request(REPOSITORY, number)
    lose_the_store(town)
    some_hours(town)
    expect_all_of_it(town, number)

    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_nothing_of_it(town, number)
    assert receipt_of(town, number).by == "alice"
    expect_quiet(town)


def test_a_database_alone_that_nobody_remembers_goes_by_the_same_word() -> None:
    town, number = town_of_two()
    name = DATABASE.format(number=number)
    held = town.databases.databases[name]
    town.close(number)
    town.settle(HOUR)
    town.forge.delete_pull_request(REPOSITORY, number)
    town.databases.databases[name] = held
    lose_the_store(town)
    some_hours(town)
    assert name in town.databases.databases

    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_nothing_of_it(town, number)


# What is no such wish.


def test_a_wish_that_a_push_answered_since_removes_nothing() -> None:
    town, number = town_of_two()
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle(HOUR)
    town.push(number)
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    vanish(town, number)
    town.start()
    some_hours(town)
    expect_all_of_it(town, number)


def test_a_store_of_yesterday_does_not_make_an_answered_wish_one_of_today() -> None:
    town, number = town_of_two()
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle(HOUR)
    wish, record = town.store.load_wishes(key_of(number)), town.record(number)
    town.push(number)
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    town.forge.delete_pull_request(REPOSITORY, number)
    town.store.save_wishes(key_of(number), wish, [])
    town.store.save(record)
    town.start()
    some_hours(town)
    expect_all_of_it(town, number)

    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_nothing_of_it(town, number)


def test_a_forge_that_does_not_answer_is_none_that_does_not_know_it() -> None:
    town, number = town_of_two()
    town.forge.fail(UNREACHABLE)
    town.start()
    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    expect_all_of_it(town, number)


def test_one_that_was_not_read_yet_cannot_be_removed() -> None:
    town, number = town_of_two()
    town.forge.fail(UNREACHABLE)
    lose_the_store(town)
    town.settle()
    with pytest.raises(ActionRefusedError, match="was not read yet"):
        town.loop.actions.remove(key_of(number), actor="alice")


# What follows.


def test_one_that_was_removed_is_as_one_of_a_closed_pull_request() -> None:
    town, number = town_of_two()
    vanish(town, number)
    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    with pytest.raises(ActionRefusedError, match="is closed"):
        town.loop.actions.wake(key_of(number), actor="bob")
    town.start()
    some_hours(town)
    expect_nothing_of_it(town, number)
    assert town.phase(number) is Phase.REMOVED


def test_one_that_the_forge_knows_again_was_removed_by_hand_and_comes_back_when_woken() -> None:
    town, number = town_of_two()
    vanish(town, number)
    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    town.forge.restore_pull_request(REPOSITORY, number)
    some_hours(town)
    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.EXPIRED, "RemovedByHand")
    expect_nothing_of_it(town, number)

    town.loop.actions.wake(key_of(number), actor="bob")
    some_hours(town)
    assert town.phase(number) is Phase.LIVE
    expect_all_of_it(town, number)


def test_its_place_is_free_for_whoever_waits() -> None:
    town = Town([project("shop", caps=Caps(previews=1))])
    number = town.open()
    town.settle()
    waiting = town.open()
    town.settle()
    assert town.phase(waiting) is Phase.QUEUED
    vanish(town, number)
    assert town.phase(waiting) is Phase.QUEUED
    town.loop.actions.remove(key_of(number), actor="alice")
    town.settle(5 * MINUTE)
    assert town.phase(waiting) is Phase.LIVE


def test_its_row_is_forgotten_like_every_other() -> None:
    town, number = town_of_two()
    vanish(town, number)
    town.loop.actions.remove(key_of(number), actor="alice")
    some_hours(town)
    town.clock.seconds += 31 * 24 * HOUR
    town.resync()
    town.settle()
    assert town.store.load(key_of(number)) is None

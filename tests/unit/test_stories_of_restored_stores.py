"""A store that is restored from a copy of yesterday decides nothing that Git or the forge know better."""

from collections.abc import Callable, Iterable

import pytest

from previews.domain.lifetime import Wishes
from previews.domain.policy import Policy, Trigger
from previews.domain.preview import Phase
from previews.domain.record import PreviewRecord
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.database_town import town_with
from tests.unit.lives import DAY, DAYS_3, HOUR, confirm_brake, deleted, key_of, town_of

LABELLED = Policy(trigger=Trigger.LABEL, labels_any=("preview",))


def restore(town: Town, records: Iterable[PreviewRecord], wishes: Wishes | None = None) -> None:
    """The manager starts with a store that holds these, and all of them the same wishes."""
    town.store = type(town.store)()
    for record in records:
        town.store.save(record)
        if wishes is not None:
            town.store.save_wishes(record.key, wishes)
    town.start()


def test_an_error_after_the_first_read_does_not_make_it_decide_by_what_it_remembers() -> None:
    town = Town([project("shop", policy=LABELLED)])
    number = town.open()
    town.settle()
    without_label = town.record(number)
    assert without_label.phase is Phase.BLOCKED
    town.forge.set_labels(REPOSITORY, number, "preview")
    town.deliver(number)
    town.settle()
    files, base = dict(town.gitops.files), deleted(town)

    town.forge.fail(UNREACHABLE, on="list_open_pull_requests", times=1)
    town.forge.fail(UNREACHABLE, on="read_file", times=2)
    restore(town, [without_label])
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert (town.gitops.files, deleted(town)) == (files, base)


def test_one_that_was_reopened_since_keeps_its_database() -> None:
    town = town_with()
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    removed = town.record(number)
    assert removed.phase is Phase.REMOVED
    town.reopen(number)
    town.settle()
    (before,) = town.databases.databases.values()
    files = dict(town.gitops.files)

    restore(town, [removed])
    town.settle(HOUR)

    (after,) = town.databases.databases.values()
    assert after.incarnation == before.incarnation
    assert town.gitops.files == files
    assert town.phase(number) is Phase.LIVE


def test_one_that_was_reopened_since_a_copy_of_its_removal_stays() -> None:
    town = town_with()
    number = town.open()
    town.settle()
    town.databases.hold(key_of(number), "a prepared transaction")
    town.close(number)
    town.settle(HOUR)
    going = town.record(number)
    assert going.phase is Phase.REMOVING
    town.databases.let_go(key_of(number))
    town.settle(HOUR)
    town.reopen(number)
    town.settle(HOUR)
    files, base = dict(town.gitops.files), deleted(town)

    restore(town, [going])
    town.settle(HOUR)

    assert (town.gitops.files, deleted(town)) == (files, base)
    assert town.phase(number) is Phase.LIVE


def test_many_that_were_reopened_since_are_all_left_alone() -> None:
    town = town_of(DAYS_3)
    numbers = [town.open() for _ in range(40)]
    town.settle()
    for number in numbers:
        town.close(number)
    town.settle(HOUR)
    confirm_brake(town, "alice")
    town.settle(HOUR)
    removed = [town.record(number) for number in numbers]
    assert {record.phase for record in removed} == {Phase.REMOVED}
    for number in numbers:
        town.reopen(number)
    town.settle(HOUR)
    base = deleted(town)

    restore(town, removed)
    town.settle(HOUR)

    assert deleted(town) == base
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}


def pushed_to(town: Town, number: int) -> None:
    town.push(number)


def woken(town: Town, number: int) -> None:
    town.loop.actions.wake(key_of(number), actor="alice")


@pytest.mark.parametrize("come_back", [pushed_to, woken])
def test_one_that_had_expired_and_came_back_since_stays(
    come_back: Callable[[Town, int], None],
) -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(4 * DAY)
    expired, wishes = town.record(number), town.store.load_wishes(key_of(number))
    assert expired.phase is Phase.EXPIRED
    come_back(town, number)
    town.settle(HOUR)
    base = deleted(town)

    restore(town, [expired], wishes)
    town.settle(HOUR)

    assert deleted(town) == base
    assert town.phase(number) is Phase.LIVE


def test_what_somebody_put_back_after_a_removal_goes_again() -> None:
    town = Town()
    number = town.open()
    town.settle()
    folder = dict(town.gitops.files)
    town.close(number)
    town.settle(HOUR)
    removed = town.record(number)
    town.gitops.commit_as_another(folder)

    restore(town, [removed])
    town.settle(HOUR)

    assert town.left_of(number) == set()

"""A comparison of many repositories: fair, sparing, and never deceived about which repository it reads."""

import threading

import pytest

from previews.domain.brake import BrakeLimits
from previews.domain.preview import Phase
from previews.errors import TransientError
from previews.reconcile.effects import Effect
from previews.reconcile.resync import SILENT_AT_MOST
from tests.fakes.forge import FORBIDDEN, RATE_LIMITED, UNREACHABLE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.deployment_town import OnEffect
from tests.unit.lives import deleted, expect_quiet, key_of, lose_the_store

LISTING = "list_open_pull_requests "
RENAMED = "acme/store"


def town_with(*repositories: str) -> Town:
    return Town([project(name.replace("/", "-"), name) for name in repositories])


def listed_in_a_round(town: Town, *, again: bool = False) -> list[str]:
    """The repositories that are asked for, in order."""
    before = len(town.forge.calls)
    town.loop.resync.resync(everything=False, again=again)
    calls = town.forge.calls[before:]
    return [call.removeprefix(LISTING) for call in calls if call.startswith(LISTING)]


# Fair over many repositories.


def test_a_limit_of_one_owner_holds_up_no_other_and_its_repositories_come_first_afterwards() -> (
    None
):
    town = town_with("acme/one", "acme/two", "acme/zoo", "blue/one")
    town.forge.fail(RATE_LIMITED, on=f"{LISTING}acme/two", times=1)

    assert listed_in_a_round(town) == ["acme/one", "acme/two", "blue/one"]
    assert "patience" in (town.loop.readiness()["forge"] or "")
    assert listed_in_a_round(town)[:2] == ["acme/two", "acme/zoo"]
    assert town.loop.readiness()["forge"] is None
    assert town.loop.resync.listings() == {"read": 10, "limited": 1, "failed": 0}


def test_while_a_limit_lasts_everybody_of_that_owner_has_a_turn_as_far_as_it_goes() -> None:
    names = [f"acme/{number}" for number in range(6)]
    town = town_with(*names)
    read: list[str] = []
    for _ in range(3):
        town.forge.heal()
        budget = [name for name in names if name not in read][:2]
        for name in set(names) - set(budget):
            town.forge.fail(RATE_LIMITED, on=f"{LISTING}{name}")
        asked = listed_in_a_round(town)
        assert asked[:2] == budget
        read += budget
    assert read == names


@pytest.mark.fault(39)
def test_a_repository_that_cannot_be_read_is_passed_over_and_named() -> None:
    town = town_with("acme/one", "acme/two", "acme/zoo")
    town.forge.fail(FORBIDDEN, on=f"{LISTING}acme/one")

    assert listed_in_a_round(town) == ["acme/one", "acme/two", "acme/zoo"]
    assert town.loop.readiness()["forge"] == "acme/one: the token may not do that"
    assert town.loop.resync.listings()["failed"] == 1


def test_a_forge_that_is_away_is_not_asked_for_each_repository_in_turn() -> None:
    names = [f"acme/{number}" for number in range(8)]
    town = town_with(*names)
    town.forge.fail(UNREACHABLE, on=LISTING)

    assert listed_in_a_round(town) == names[:SILENT_AT_MOST]
    assert listed_in_a_round(town) == names[SILENT_AT_MOST : 2 * SILENT_AT_MOST]

    town.forge.heal()
    assert listed_in_a_round(town)[:2] == names[2 * SILENT_AT_MOST :]
    assert town.loop.readiness()["forge"] is None


def test_what_was_read_is_not_read_again_for_the_sake_of_what_could_not_be() -> None:
    town = town_with("acme/one", "acme/two", "acme/zoo")
    town.forge.fail(FORBIDDEN, on=f"{LISTING}acme/two", times=2)

    assert len(listed_in_a_round(town)) == 3
    assert listed_in_a_round(town, again=True) == ["acme/two"]
    assert listed_in_a_round(town, again=True) == ["acme/two"]
    assert listed_in_a_round(town, again=True) == []
    town.clock.seconds += town.options().resync_seconds
    assert len(listed_in_a_round(town, again=True)) == 3


def test_everything_is_as_old_as_what_was_read_longest_ago() -> None:
    town = town_with("acme/one", "acme/two")
    began = town.clock.now()
    town.forge.fail(FORBIDDEN, on=f"{LISTING}acme/two")
    town.clock.seconds += 60
    town.resync()
    assert town.loop.resync.completed_at == began

    town.forge.heal()
    town.clock.seconds += 60
    town.resync()
    assert town.loop.resync.completed_at == town.clock.now()


class Waits(threading.Event):
    """Waits for nothing, and ends it all after so many times."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        if len(self.seconds) == self._count:
            self.set()
        return self.is_set()


def test_after_a_failure_it_tries_again_soon_and_then_less_often() -> None:
    town = town_with("acme/one", "acme/two")
    town.forge.fail(FORBIDDEN, on=f"{LISTING}acme/one", times=5)
    waits, began = Waits(8), []
    town.loop.resync.run(waits, after_first=lambda: began.append(town.clock.now()))
    assert waits.seconds == [5, 10, 20, 30, 30, 60, 60, 60]
    assert len(began) == 1


# Conversations.


def test_with_nothing_said_no_comments_are_read() -> None:
    town = Town()
    numbers = [town.open() for _ in range(5)]
    town.settle()
    for _ in range(3):
        town.resync()
        town.settle()
    before = list(town.forge.calls)
    for _ in range(5):
        town.resync()
        town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert {call.split()[0] for call in town.forge.calls[len(before) :]} == {
        "list_open_pull_requests"
    }


# Renamed, and replaced.


@pytest.mark.fault(7)
def test_a_renamed_repository_keeps_its_previews() -> None:
    town = Town()
    numbers = [town.open(), town.open()]
    town.settle()
    manifests, said = dict(town.gitops.files), dict(town.store.published(REPOSITORY, 1))
    assert said

    town.forge.rename(REPOSITORY, RENAMED)
    town.resync()
    town.settle()

    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert deleted(town) == 0
    assert dict(town.store.published(RENAMED, 1)).keys() == said.keys()
    assert not town.store.published(REPOSITORY, 1)
    assert len(town.forge.comments(RENAMED, 1)) == 1
    assert town.gitops.files.keys() == manifests.keys()
    assert [r.key.number for r in town.store.load_pull_request(RENAMED, 2)] == [2]
    expect_quiet(town)


@pytest.mark.fault(7)
def test_a_webhook_with_the_new_name_finds_the_project() -> None:
    town = Town()
    town.open()
    town.settle()
    names = town.loop.repositories
    assert [each.name for each in names.projects_at("Acme/Shop")] == ["shop"]
    assert names.projects_at(RENAMED) == []

    town.forge.rename(REPOSITORY, RENAMED)
    town.resync()

    assert [each.name for each in town.loop.repositories.projects_at("ACME/Store")] == ["shop"]
    assert [each.name for each in town.loop.repositories.projects_at(REPOSITORY)] == ["shop"]
    town.settle()
    town.start()
    assert [each.name for each in town.loop.repositories.projects_at(RENAMED)] == ["shop"]


@pytest.mark.fault(7)
def test_a_renamed_repository_is_followed_although_another_took_its_old_name() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.rename(REPOSITORY, RENAMED)
    town.resync()
    town.settle()

    town.forge.take_name(REPOSITORY)
    strangers = town.forge.open_pull_request(REPOSITORY)
    assert strangers == number
    town.forge.close(REPOSITORY, strangers)
    for _ in range(3):
        town.resync()
        town.settle()

    assert town.phase(number) is Phase.LIVE
    assert town.loop.readiness()["forge"] is None
    town.forge.close(RENAMED, number)
    town.resync()
    town.settle()
    assert town.phase(number) is Phase.REMOVED


@pytest.mark.fault(44)
def test_another_repository_of_the_same_name_decides_nothing_about_the_previews() -> None:
    town = Town()
    numbers = [town.open(), town.open()]
    town.settle()
    town.forge.rename(REPOSITORY, "acme/gone")
    town.forge.take_name(REPOSITORY)
    # Its first pull request is closed, its second is open, and says something else.
    town.forge.close(REPOSITORY, town.forge.open_pull_request(REPOSITORY))
    town.forge.open_pull_request(REPOSITORY, title="Of another repository")
    written = list(town.forge.writes)

    town.resync()
    town.deliver(1)
    town.deliver(2)
    town.settle()

    assert deleted(town) == 0
    assert town.left_of(1)
    assert town.left_of(2)
    assert {town.record(number).reason for number in numbers} == {"RepositoryReplaced"}
    assert "is another repository" in (town.loop.readiness()["forge"] or "")
    assert town.forge.writes == written, "nothing is said on a stranger's pull requests"

    town.forge.rename(REPOSITORY, "acme/other")
    town.forge.rename("acme/gone", REPOSITORY)
    town.resync()
    town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert town.loop.readiness()["forge"] is None


def test_once_nothing_is_left_of_the_old_repository_the_new_one_is_taken() -> None:
    town = Town()
    town.open()
    town.settle()
    town.forge.rename(REPOSITORY, "acme/gone")
    town.forge.take_name(REPOSITORY)
    configured = dict(town.projects)
    town.projects.clear()
    town.start()
    town.loop.actions.drain("shop", actor="ada")
    town.settle()
    assert not [path for path in town.gitops.files if "/pr-1/" in path]

    town.projects.update(configured)
    town.start()
    number = town.open()
    town.settle()
    assert number == 1
    town.loop.actions.wake(key_of(1), actor="ada")
    town.settle()
    assert town.phase(1) is Phase.LIVE
    assert town.loop.readiness()["forge"] is None


def test_previews_of_which_no_number_was_noted_are_read_no_further() -> None:
    """What an older version stored says no number: that alone is no change, and is made up for."""
    town = Town()
    number = town.open()
    town.settle()
    town.store.name_repository(0, REPOSITORY, was=REPOSITORY)
    before = len(town.forge.calls)
    town.resync()
    known = town.record(number).pull_request
    assert known is not None
    assert known.repository_id != 0
    assert not [call for call in town.forge.calls[before:] if call.startswith("fetch")]


@pytest.mark.fault(39)
@pytest.mark.parametrize("error", [UNREACHABLE, RATE_LIMITED, FORBIDDEN], ids=lambda e: e.reason)
def test_a_repository_that_cannot_be_listed_loses_nothing(error: TransientError) -> None:
    town = Town()
    town.brake = BrakeLimits(removals=1000)
    town.start()
    numbers = [town.open() for _ in range(3)]
    town.settle()
    town.forge.fail(error)
    for _ in range(3):
        town.resync()
        town.settle()
    lose_the_store(town)
    town.settle()

    assert deleted(town) == 0
    town.forge.heal()
    town.resync()
    town.settle()
    assert {town.phase(number) for number in numbers} == {Phase.LIVE}


@pytest.mark.fault(4)
def test_what_was_read_while_others_were_compared_is_compared_with_what_it_was_then() -> None:
    """It was marked when the round began, and not any more when its own repository's turn came."""
    meanwhile = OnEffect(Effect.MARK_FOR_FETCH)
    town = Town([project("one", "acme/one"), project("two", "acme/two")], witness=meanwhile)
    number = town.open("two")
    town.settle()
    town.deliver(number, "two")
    town.forge.open_pull_request("acme/one")

    def it_is_read_and_then_closed_unheard() -> None:
        meanwhile.look = None
        town.settle(1)
        town.forge.close("acme/two", number)

    meanwhile.look = it_is_read_and_then_closed_unheard
    town.resync()
    town.settle()

    assert meanwhile.looks == [None]
    assert town.phase(number, "two") is Phase.REMOVED


@pytest.mark.parametrize("is_listed", [True, False])
def test_what_cannot_be_read_by_itself_is_marked_once(*, is_listed: bool) -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.push(REPOSITORY, number)
    town.forge.fail(UNREACHABLE, on="fetch_pull_request")
    if not is_listed:
        town.forge.list_instead(REPOSITORY, [])
    town.resync()
    town.settle()

    expect_quiet(town)
    assert town.record(number).fetch_mark


@pytest.mark.fault(4)
def test_with_every_webhook_lost_for_four_days_one_comparison_reaches_what_the_forge_says() -> None:
    town = Town()
    stays, goes = town.open(), town.open()
    town.settle()
    town.clock.seconds += 4 * 86400
    comes = town.forge.open_pull_request(REPOSITORY)
    town.push_image(comes)
    town.forge.close(REPOSITORY, goes)

    town.resync()
    town.settle()

    assert town.phase(stays) is Phase.LIVE
    assert town.phase(comes) is Phase.LIVE
    assert town.phase(goes) is Phase.REMOVED
    assert not town.left_of(goes)

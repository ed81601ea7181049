"""Deployments that were left behind at the forge are found and removed, and nobody else's."""

import pytest

from previews.domain.inventory import Found, Kind, Verdict
from previews.domain.preview import Phase
from previews.errors import TransientError
from previews.reconcile.deployment_inventory import LIST_AGAIN_SECONDS, LISTED_PER_LOOK
from tests.fakes.forge import FORBIDDEN, UNREACHABLE
from tests.fakes.forge_things import HeldDeployment
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.deployment_town import ENVIRONMENT, MINUTE, asked, live, shown, states


@pytest.fixture
def town() -> Town:
    return Town(is_app=True)


def left_behind(town: Town, number: int = 1, task: str = "") -> HeldDeployment:
    """A deployment that nobody remembers."""
    return town.forge.deploy(
        REPOSITORY,
        creator=town.forge.own_login,
        task=task or f"previews:acme:shop#{number}",
        environment=ENVIRONMENT,
        head_sha=town.forge.pull_request(REPOSITORY, number).head_sha,
        description="",
    )


def closed(town: Town) -> int:
    number = live(town)
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    return number


def sweep(town: Town, times: int = 4) -> None:
    for _ in range(times):
        town.loop.collector.collect(dry_run=False)
        town.settle(5 * MINUTE)


def inventory(town: Town) -> list[Found]:
    return [f for f in town.loop.collector.inventory() if f.owned.kind is Kind.DEPLOYMENT]


def test_what_a_removal_left_behind_is_collected_and_no_others(town: Town) -> None:
    closed(town)
    left_behind(town)
    others = [
        left_behind(town, task=task)
        for task in ("deploy", "previews:other:shop#1", "previews:acme", "previews:acme:shop#x")
    ]
    live(town)
    sweep(town)
    assert shown(town) == []
    assert [each for each in town.forge.deployments_of(REPOSITORY) if each in others] == others
    assert states(town, 2) == ["success"]
    assert town.loop.collector.reclaimed == {Kind.DEPLOYMENT: 1}


def test_many_of_one_preview_are_no_mass(town: Town) -> None:
    closed(town)
    for _ in range(12):
        left_behind(town)
    sweep(town, times=6)
    assert shown(town) == []
    assert town.loop.collector.last is not None
    assert not town.loop.collector.last.held


def test_each_commit_of_a_live_preview_is_wanted(town: Town) -> None:
    number = live(town)
    town.push(number)
    town.settle()
    found = inventory(town)
    assert [each.verdict for each in found] == [Verdict.WANTED, Verdict.WANTED]
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    assert found[-1].owned.name == f"{REPOSITORY}@{head_sha[:7]}"
    assert found[-1].owned.owner is not None


def test_one_that_waits_for_its_image_is_wanted_and_nobody_is_asked(town: Town) -> None:
    number = town.open(image=False)
    town.settle()
    before = [each for each in town.forge.calls if each.startswith("fetch_pull_request")]
    (found,) = inventory(town)
    assert found.verdict is Verdict.WANTED
    after = [each for each in town.forge.calls if each.startswith("fetch_pull_request")]
    assert after == before
    town.close(number)
    town.settle()
    assert inventory(town) == []


def test_one_that_waits_again_after_it_was_reopened_is_wanted(town: Town) -> None:
    number = closed(town)
    town.forge.push(REPOSITORY, number)
    town.reopen(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.WAITING_FOR_IMAGE
    sweep(town)
    assert states(town) == ["queued"]


def test_of_a_project_that_nobody_configured_it_is_left_to_a_person(town: Town) -> None:
    live(town)
    left_behind(town, task="previews:acme:gone#1")
    verdicts = {str(f.owned.owner): f.verdict for f in inventory(town)}
    assert verdicts == {"shop#1": Verdict.WANTED, "gone#1": Verdict.NOT_OURS}


def test_an_hour_goes_by_between_two_listings(town: Town) -> None:
    live(town)
    before = len(asked(town))
    sweep(town, times=12)
    assert asked(town)[before:] == ["list_deployments"]
    town.settle(LIST_AGAIN_SECONDS)
    sweep(town, times=1)
    assert asked(town)[before:] == ["list_deployments"] * 2


def test_what_was_removed_since_a_listing_is_not_in_it(town: Town) -> None:
    number = live(town)
    assert len(inventory(town)) == 1
    town.close(number)
    town.settle(5 * MINUTE)
    assert inventory(town) == []


def test_what_somebody_removed_since_a_listing_is_not_removed_again(town: Town) -> None:
    closed(town)
    made = left_behind(town)
    assert len(inventory(town)) == 1
    town.forge.remove_deployment_of(REPOSITORY, made.id)
    sweep(town)
    assert "remove_deployment" not in asked(town)[asked(town).index("remove_deployment") + 1 :]
    assert inventory(town) == []


def test_of_many_repositories_some_are_listed_at_each_look() -> None:
    count = LISTED_PER_LOOK * 2 + 1
    projects = [project(f"shop{n}", f"acme/shop{n}") for n in range(count)]
    town = Town(projects, is_app=True)
    sweep(town, times=1)
    assert len(asked(town)) == LISTED_PER_LOOK
    sweep(town, times=2)
    listed = {each for each in town.forge.calls if each.startswith("list_deployments")}
    assert len(listed) == len(asked(town)) == count


@pytest.mark.parametrize("problem", [FORBIDDEN, UNREACHABLE])
def test_a_repository_that_cannot_be_listed_keeps_nothing_else_from_being_collected(
    town: Town, problem: TransientError
) -> None:
    number = live(town)
    names = town.projects["shop"].names(number)
    town.close(number)
    town.settle(5 * MINUTE)
    town.cluster.put_namespace(names.namespace, town.record(number).key)
    town.forge.fail(problem, on="list_deployments")
    sweep(town, times=8)
    assert town.left_of(number) == set()
    assert f"deployments of {REPOSITORY} could not be listed" in (
        town.loop.collector.problem() or ""
    )
    town.forge.heal()
    sweep(town, times=1)
    assert town.loop.collector.problem() is None

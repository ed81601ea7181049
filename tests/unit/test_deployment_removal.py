"""A removed preview leaves no deployment, and a forge that is away holds up nothing but the receipt."""

from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.caps import Caps
from previews.domain.deployments import target_of
from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import Phase
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect
from tests.fakes.forge import FORBIDDEN, RATE_LIMITED, REFUSED, UNREACHABLE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.deployment_town import (
    ENVIRONMENT,
    MINUTE,
    OnEffect,
    asked,
    key,
    live,
    receipt,
    shown,
    states,
)


@pytest.fixture
def town() -> Town:
    return Town(is_app=True)


def test_closing_takes_every_deployment_away_and_keeps_the_environment(town: Town) -> None:
    number = live(town)
    town.push(number)
    town.settle()
    before = len(asked(town))
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert shown(town) == []
    assert town.forge.environments(REPOSITORY) == {ENVIRONMENT}
    assert receipt(town)["Deployments"] == ENVIRONMENT
    assert "deployments are gone" in town.record(number).message
    # One listing, and one removal of each, which is two requests.
    assert asked(town)[before:] == [
        "list_deployments",
        "remove_deployment",
        "remove_deployment",
    ]


def test_they_go_when_everything_else_is_gone() -> None:
    witness = OnEffect(Effect.REMOVE_DEPLOYMENT)
    town = Town(witness=witness, is_app=True)
    number = live(town)
    witness.look = lambda: town.left_of(number)
    town.close(number)
    town.settle(5 * MINUTE)
    assert witness.looks == [set()]


def test_a_removal_that_nobody_heard_of_is_no_trouble() -> None:
    witness = OnEffect(Effect.REMOVE_DEPLOYMENT)
    town = Town(witness=witness, is_app=True)
    number = live(town)
    town.push(number)
    town.settle()
    witness.lose = 2
    town.close(number)
    town.settle(10 * MINUTE)
    assert witness.lose == 0
    assert (town.phase(number), shown(town)) == (Phase.REMOVED, [])
    assert receipt(town)["Deployments"] == ENVIRONMENT


def test_once_removed_nothing_is_asked_again(town: Town) -> None:
    number = live(town)
    town.close(number)
    town.settle(5 * MINUTE)
    requests, record = len(asked(town)), town.record(number)
    for _ in range(5):
        town.loop.enqueue([key(number)])
        town.settle(MINUTE)
    town.start()
    town.settle()
    assert len(asked(town)) == requests
    assert town.record(number) == record


def test_what_waits_for_its_image_is_taken_away_as_well(town: Town) -> None:
    number = town.open(image=False)
    town.settle()
    assert len(shown(town)) == 1
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert shown(town) == []


def test_reopened_it_is_shown_anew(town: Town) -> None:
    number = live(town)
    town.close(number)
    town.settle(5 * MINUTE)
    town.reopen(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    (found,) = shown(town)
    assert found.state == "success"


def test_reopened_in_the_middle_it_waits_for_no_forge(town: Town) -> None:
    number = live(town)
    town.forge.fail(UNREACHABLE, on="deployment")
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVING
    town.reopen(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    town.forge.heal()
    town.settle(10 * MINUTE)
    assert states(town) == ["success"]


def test_reopened_while_one_of_two_is_gone_the_rest_is_found(town: Town) -> None:
    number = live(town)
    town.push(number)
    town.settle()
    town.forge.fail(RATE_LIMITED, on=f"remove_deployment {REPOSITORY} {shown(town)[0].id}")
    town.close(number)
    town.settle(5 * MINUTE)
    assert len(shown(town)) == 1
    town.forge.heal()
    town.reopen(number)
    town.settle(5 * MINUTE)
    assert sorted(states(town)) == ["inactive", "success"]


@pytest.mark.parametrize("problem", [UNREACHABLE, RATE_LIMITED, FORBIDDEN, REFUSED])
def test_a_forge_that_refuses_holds_only_the_end_of_that_removal(
    town: Town, problem: PreviewsError
) -> None:
    number = live(town)
    town.forge.fail(problem, on="deployment")
    town.close(number)
    other = town.open()
    town.settle(10 * MINUTE)
    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.REMOVING, problem.reason)
    assert problem.message in record.message
    assert town.left_of(number) == set()
    assert town.phase(other) is Phase.LIVE
    town.forge.heal()
    town.settle(10 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert shown(town) == []
    assert len(shown(town, other)) == 1


def test_a_removal_that_waits_for_the_forge_holds_no_place() -> None:
    town = Town([project("shop", caps=Caps(previews=1))], is_app=True)
    number = live(town)
    waits = town.open()
    town.settle()
    assert town.phase(waits) is Phase.QUEUED
    assert states(town, waits) == ["queued"]
    town.forge.fail(UNREACHABLE, on="deployment")
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(waits) is Phase.LIVE


def test_a_removal_without_a_memory_looks_once(town: Town) -> None:
    number = live(town)
    (left,) = shown(town)
    town.store = type(town.store)()
    town.forge.close(REPOSITORY, number)
    town.start()
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert left not in town.forge.deployments_of(REPOSITORY)
    assert receipt(town)["Deployments"] == ENVIRONMENT


def test_where_none_ever_was_the_receipt_names_none(town: Town) -> None:
    number = live(town)
    (made,) = shown(town)
    town.forge.remove_deployment_of(REPOSITORY, made.id)
    town.store = type(town.store)()
    town.forge.close(REPOSITORY, number)
    town.start()
    before = len(asked(town))
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert asked(town)[before:] == ["list_deployments"]
    assert "Deployments" not in receipt(town)
    assert "deployments" not in town.record(number).message


def test_a_forge_without_deployments_is_never_asked() -> None:
    town = Town()
    number = live(town)
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.REMOVED
    assert asked(town) == []
    assert "Deployments" not in receipt(town)


def test_those_of_others_stay(town: Town) -> None:
    number = live(town)
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    others = [
        town.forge.deploy(
            REPOSITORY,
            creator="somebody",
            task=task,
            environment=environment,
            head_sha=head_sha,
            description="",
        )
        for task, environment in (
            ("deploy", "production"),
            ("deploy", ENVIRONMENT),
            ("previews:other:shop#1", ENVIRONMENT),
            ("previews:acme:shop#11", ENVIRONMENT),
        )
    ]
    town.close(number)
    town.settle(5 * MINUTE)
    assert town.forge.deployments_of(REPOSITORY) == others


def test_expired_it_leaves_none() -> None:
    policy = LifetimePolicy(ttl=timedelta(hours=1))
    town = Town([project("shop", lifetime=policy)], is_app=True)
    number = town.open()
    town.settle(2 * 60 * MINUTE)
    assert town.phase(number) is Phase.EXPIRED
    assert shown(town) == []
    town.push(number)
    town.settle()
    assert states(town) == ["success"]


def test_a_publisher_that_comes_late_shows_nothing_that_leaves(town: Town) -> None:
    number = town.open(image=False)
    town.settle()
    stale = town.record(number)
    town.close(number)
    town.settle(5 * MINUTE)
    assert shown(town) == []
    town.store.save(replace(stale, message="as it was"))
    town.store.record_published(REPOSITORY, number, target_of("shop"), "")
    town.loop.queues.pull_requests.add((REPOSITORY, number))
    town.loop.publishers.work_one((REPOSITORY, number))
    assert shown(town) == []


def two_projects() -> Town:
    """Both of one repository, each with a live preview at the same pull request; then the first is taken out."""
    town = Town([project("shop"), project("api")], is_app=True)
    number = live(town)
    town.push_image(number, "api")
    town.deliver(number, "api")
    town.settle()
    town.projects = {"api": project("api")}
    town.start()
    town.settle()
    return town


def test_draining_a_project_takes_its_environment_along() -> None:
    town = two_projects()
    assert len(shown(town)) == 1
    town.loop.actions.drain("shop", actor="ann")
    town.settle(5 * MINUTE)
    assert town.phase(1) is Phase.REMOVED
    assert shown(town) == []
    assert town.forge.environments(REPOSITORY) == {"preview/api"}
    assert len(shown(town, 1, "api")) == 1


def test_an_environment_stays_until_the_last_preview_of_its_project_is_gone() -> None:
    town = Town(is_app=True)
    first, second = live(town), live(town)
    town.projects = {"api": project("api", "acme/api")}
    town.start()
    town.forge.fail(UNREACHABLE, on=f"remove_deployment {REPOSITORY} {shown(town, second)[0].id}")
    town.loop.actions.drain("shop", actor="ann")
    town.settle(5 * MINUTE)
    assert (town.phase(first), town.phase(second)) == (Phase.REMOVED, Phase.REMOVING)
    assert town.forge.environments(REPOSITORY) == {ENVIRONMENT}
    town.forge.heal()
    town.settle(5 * MINUTE)
    assert town.phase(second) is Phase.REMOVED
    assert town.forge.environments(REPOSITORY) == set()


def test_an_environment_that_may_not_be_removed_is_told_and_holds_up_nothing() -> None:
    town = two_projects()
    town.forge.fail(FORBIDDEN, on="remove_environment")
    town.loop.actions.drain("shop", actor="ann")
    town.settle(5 * MINUTE)
    record = town.record(1)
    assert record.phase is Phase.REMOVED
    assert f"the environment {ENVIRONMENT} stays: {FORBIDDEN.message}" in record.message
    assert town.forge.environments(REPOSITORY) == {ENVIRONMENT, "preview/api"}


def test_an_environment_with_deployments_of_others_stays() -> None:
    town = two_projects()
    town.forge.deploy(
        REPOSITORY,
        creator="somebody",
        task="previews:other:shop#1",
        environment=ENVIRONMENT,
        head_sha=town.forge.pull_request(REPOSITORY, 1).head_sha,
        description="",
    )
    town.loop.actions.drain("shop", actor="ann")
    town.settle(5 * MINUTE)
    assert town.phase(1) is Phase.REMOVED
    assert ENVIRONMENT in town.forge.environments(REPOSITORY)
    assert "others have deployments there" in town.record(1).message

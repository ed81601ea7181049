"""Previews among their forge's deployments: a whole manager on fakes, known to the forge as a GitHub App."""

import pytest

from previews.domain.preview import Phase
from previews.reconcile.effects import Effect
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project
from tests.unit.deployment_town import (
    ENVIRONMENT,
    MINUTE,
    URL,
    OnEffect,
    asked,
    key,
    live,
    said,
    shown,
    states,
)


@pytest.fixture
def town() -> Town:
    return Town(is_app=True)


def test_a_commit_goes_from_waiting_over_under_way_to_live(town: Town) -> None:
    number = town.open(image=False)
    town.settle(5 * MINUTE)
    (found,) = shown(town)
    assert said(found) == ["queued"]
    town.argocd.deploys = False
    town.push_image(number)
    town.settle(5 * MINUTE)
    (found,) = shown(town)
    assert said(found) == ["queued", "in_progress"]
    assert not found.statuses[-1].environment_url
    town.argocd.finishes("shop-pr-1")
    town.settle(5 * MINUTE)
    (found,) = shown(town)
    assert said(found) == ["queued", "in_progress", "success"]
    last = found.statuses[-1]
    assert last.environment_url == URL
    assert (found.environment, found.head_sha) == (
        ENVIRONMENT,
        town.forge.pull_request(REPOSITORY, number).head_sha,
    )


def test_what_is_over_within_a_second_is_not_worth_a_request(town: Town) -> None:
    live(town)
    (found,) = shown(town)
    assert said(found) == ["success"]


def test_a_new_commit_makes_the_older_one_inactive(town: Town) -> None:
    number = live(town)
    town.push(number)
    town.settle()
    town.push(number)
    town.settle()
    first, second, third = shown(town)
    assert [first.state, second.state, third.state] == ["inactive", "inactive", "success"]
    assert said(first) == ["success", "inactive"]
    assert third.head_sha == town.forge.pull_request(REPOSITORY, number).head_sha


def test_each_commit_costs_few_requests(town: Town) -> None:
    number = live(town)
    before = len(asked(town))
    assert before <= 3
    for _ in range(3):
        town.push(number)
        town.settle()
    assert len(asked(town)) - before <= 3 * 3


def test_with_nothing_changing_nothing_is_asked_or_written(town: Town) -> None:
    number = live(town)
    town.resync()
    town.settle(10 * MINUTE)
    assert isinstance(town.witness, CountingWitness)
    before, requests = dict(town.witness.counts), len(asked(town))
    for _ in range(20):
        town.resync()
        town.loop.enqueue([key(number)])
        town.settle(MINUTE)
    assert town.witness.counts == before
    assert len(asked(town)) == requests


def test_asleep_it_is_still_a_success_and_waking_says_nothing_new(town: Town) -> None:
    number = live(town)
    requests = len(asked(town))
    town.loop.actions.sleep(key(number), actor="ann")
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.ASLEEP
    town.loop.actions.wake(key(number), actor="ann")
    town.settle(5 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    assert len(asked(town)) == requests


def test_each_project_of_a_repository_has_an_environment_of_its_own() -> None:
    town = Town([project("shop"), project("api")], is_app=True)
    number = town.open()
    town.push_image(number, "api")
    town.deliver(number, "api")
    town.settle()
    assert town.forge.environments(REPOSITORY) == {ENVIRONMENT, "preview/api"}
    assert {each.task for each in town.forge.deployments_of(REPOSITORY)} == {
        "previews:acme:shop#1",
        "previews:acme:api#1",
    }


def test_an_answer_that_was_lost_makes_no_second_deployment() -> None:
    witness = OnEffect(Effect.SET_DEPLOYMENT, lose=1)
    town = Town(witness=witness, is_app=True)
    number = live(town)
    town.settle(10 * MINUTE)
    assert witness.lose == 0
    assert states(town) == ["success"]
    witness.lose = 2
    town.push(number)
    town.settle(10 * MINUTE)
    assert witness.lose == 0
    assert states(town) == ["inactive", "success"]


def test_what_failed_unheard_is_live_again_for_everybody() -> None:
    witness = OnEffect(Effect.SET_DEPLOYMENT)
    town = Town(witness=witness, is_app=True)
    number = live(town)
    town.argocd.finishes("shop-pr-1", health="Degraded")
    witness.lose = 1
    town.settle(1)
    assert states(town) == ["failure"]
    town.argocd.finishes("shop-pr-1")
    town.settle(20 * MINUTE)
    assert town.phase(number) is Phase.LIVE
    assert states(town) == ["success"]


def test_a_lost_store_finds_its_deployments_again(town: Town) -> None:
    number = live(town)
    town.push(number)
    town.settle()
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert states(town) == ["inactive", "success"]
    town.push(number)
    town.settle()
    assert states(town) == ["inactive", "inactive", "success"]


def test_a_forge_that_is_away_delays_no_deployment(town: Town) -> None:
    town.forge.fail(UNREACHABLE, on="deployment")
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.forge.check_runs(REPOSITORY, town.forge.pull_request(REPOSITORY, number).head_sha)
    town.forge.heal()
    town.settle(10 * MINUTE)
    assert states(town) == ["success"]


def test_a_fork_whose_previews_are_off_is_not_shown(town: Town) -> None:
    number = town.forge.open_pull_request(REPOSITORY, from_fork=True)
    town.deliver(number)
    town.settle()
    assert town.phase(number) is Phase.BLOCKED
    town.forge.close(REPOSITORY, number)
    town.deliver(number)
    town.settle()
    assert asked(town) == []

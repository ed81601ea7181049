"""What a forge does that has check runs, deployments and a list of what it could not deliver: GitHub, under an App."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from previews.domain.feedback import Check, CheckState, Deployment, DeploymentState
from previews.domain.forge_ports import Checks, Deployments, Forge
from previews.domain.preview import HeadSha
from previews.errors import PreviewsError, TransientError
from tests.contract.forge_places import BODY, MARKER, SHOP
from tests.fakes.forge import FakeForge
from tests.fakes.forge_things import HeldDeployment
from tests.fakes.forge_world import ForgeWorld
from tests.github.as_app import app_forge
from tests.github.standin import StandInGitHub

TASK = "previews:acme:shop#1"
ENVIRONMENT = "preview/shop"
NOBODYS = HeadSha("0123456789" * 4)


@dataclass(frozen=True)
class AppPlace:
    """A forge that the manager works at as an App, with one pull request."""

    forge: Forge
    world: ForgeWorld
    number: int
    head_sha: HeadSha

    @property
    def checks(self) -> Checks:
        assert self.forge.checks is not None
        return self.forge.checks

    @property
    def deployments(self) -> Deployments:
        assert self.forge.deployments is not None
        return self.forge.deployments

    @property
    def held(self) -> list[HeldDeployment]:
        return self.world.deployments_of(SHOP)


def opened(forge: Forge, world: ForgeWorld) -> AppPlace:
    number = world.open_pull_request(SHOP)
    return AppPlace(forge, world, number, world.pull_request(SHOP, number).head_sha)


@pytest.fixture
def fake() -> AppPlace:
    forge = FakeForge(is_app=True)
    return opened(forge, forge)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[AppPlace]:
    with StandInGitHub() as standin:
        yield opened(app_forge(standin, tmp_path), standin)


@pytest.fixture(params=["fake", "github"])
def place(request: pytest.FixtureRequest) -> AppPlace:
    chosen: AppPlace = request.getfixturevalue(request.param)
    return chosen


def check_of(place: AppPlace, state: CheckState = CheckState.QUEUED) -> Check:
    return Check(
        name=ENVIRONMENT,
        external_id="acme/shop#1",
        head_sha=place.head_sha,
        state=state,
        title="Waiting for the image",
        summary="| Phase | Since |\n| --- | --- |\n| WaitingForImage | 08:30 |\n",
        text="",
        details_url="",
    )


def deployment_of(
    place: AppPlace, state: DeploymentState = DeploymentState.QUEUED, *, task: str = TASK
) -> Deployment:
    return Deployment(
        task=task,
        environment=ENVIRONMENT,
        head_sha=place.head_sha,
        state=state,
        description="Deploying",
        environment_url="",
        log_url="https://previews.example/shop/1",
    )


def test_a_check_goes_on_in_place_until_it_is_over(place: AppPlace) -> None:
    first = check_of(place)
    last = replace(
        first,
        state=CheckState.FAILURE,
        title="CrashLooping",
        text="Traceback: \u202e `x`",
        details_url="https://pr-1.preview.example.com/",
    )

    known = place.checks.ensure_check(SHOP, first, None)
    (queued,) = place.world.check_runs(SHOP, place.head_sha)
    again = place.checks.ensure_check(SHOP, replace(first, state=CheckState.IN_PROGRESS), known)
    ended = place.checks.ensure_check(SHOP, last, known)

    (held,) = place.world.check_runs(SHOP, place.head_sha)
    assert queued.check == first
    assert held.check == last
    assert known == again == ended == held.id


def test_a_check_that_is_over_may_begin_anew(place: AppPlace) -> None:
    known = place.checks.ensure_check(SHOP, check_of(place, CheckState.SUCCESS), None)

    place.checks.ensure_check(SHOP, check_of(place, CheckState.IN_PROGRESS), known)

    (held,) = place.world.check_runs(SHOP, place.head_sha)
    assert held.check.state is CheckState.IN_PROGRESS


def test_a_check_that_was_made_before_is_found_again(place: AppPlace) -> None:
    made = place.checks.ensure_check(SHOP, check_of(place), None)
    other = place.checks.ensure_check(
        SHOP, replace(check_of(place), external_id="other/shop#1"), None
    )

    found = place.checks.ensure_check(SHOP, check_of(place, CheckState.SUCCESS), None)
    unknown = place.checks.ensure_check(SHOP, check_of(place, CheckState.NEUTRAL), 4711)

    assert made == found == unknown
    assert [each.id for each in place.world.check_runs(SHOP, place.head_sha)] == [made, other]


def test_our_own_check_builds_nothing(place: AppPlace) -> None:
    place.checks.ensure_check(SHOP, check_of(place, CheckState.FAILURE), None)

    assert place.forge.find_run(SHOP, place.head_sha) is None


def test_a_check_of_a_commit_that_is_not_there_is_refused(place: AppPlace) -> None:
    with pytest.raises(PreviewsError):
        place.checks.ensure_check(SHOP, replace(check_of(place), head_sha=NOBODYS), None)


def test_the_comment_of_an_app_is_its_own(place: AppPlace) -> None:
    known = place.forge.ensure_comment(SHOP, place.number, marker=MARKER, body=BODY)
    again = place.forge.ensure_comment(SHOP, place.number, marker=MARKER, body=f"{BODY}more")
    place.world.comment(SHOP, place.number, "/preview", author="renovate[bot]")

    ours, theirs = place.forge.list_comments(SHOP, place.number)

    assert known == again == ours.id
    assert (ours.is_ours, ours.is_of_bot) == (True, True)
    assert (theirs.is_ours, theirs.is_of_bot) == (False, True)


def test_a_pull_request_of_a_bot_is_known_as_one(place: AppPlace) -> None:
    number = place.world.open_pull_request(SHOP, author="renovate[bot]")

    fetched = place.forge.fetch_pull_request(SHOP, number)

    assert fetched is not None
    assert fetched.author == "renovate[bot]"
    assert fetched.author_is_bot


def test_a_deployment_is_made_once_and_then_says_how_it_goes(place: AppPlace) -> None:
    url = "https://pr-1.preview.example.com/"
    live = replace(deployment_of(place, DeploymentState.SUCCESS), environment_url=url)

    known = place.deployments.ensure_deployment(SHOP, deployment_of(place), None)
    again = place.deployments.ensure_deployment(SHOP, live, known)
    # As after a crash between the request and the answer.
    found = place.deployments.ensure_deployment(SHOP, live, None)

    (held,) = place.held
    assert known == again == found == held.id
    assert (held.task, held.environment, held.head_sha) == (TASK, ENVIRONMENT, place.head_sha)
    assert [each.state for each in held.statuses] == ["queued", "success", "success"]
    assert held.statuses[-1].environment_url == url
    assert held.statuses[-1].log_url == live.log_url
    assert held.statuses[0].environment_url == ""


def test_a_deployment_does_not_wait_for_checks_of_its_commit(place: AppPlace) -> None:
    place.checks.ensure_check(SHOP, check_of(place, CheckState.IN_PROGRESS), None)

    place.deployments.ensure_deployment(SHOP, deployment_of(place), None)

    assert len(place.held) == 1


def test_each_commit_and_each_preview_has_a_deployment_of_its_own(place: AppPlace) -> None:
    first = place.deployments.ensure_deployment(SHOP, deployment_of(place), None)
    other = place.deployments.ensure_deployment(
        SHOP, deployment_of(place, task="previews:acme:shop#2"), None
    )
    pushed = place.world.push(SHOP, place.number)
    second = place.deployments.ensure_deployment(
        SHOP, replace(deployment_of(place), head_sha=pushed), None
    )

    ours = place.deployments.list_deployments(SHOP, TASK)
    all_of_them = place.deployments.list_deployments(SHOP)

    assert {(each.id, each.head_sha) for each in ours} == {
        (first, place.head_sha),
        (second, pushed),
    }
    assert {each.id for each in all_of_them} == {first, other, second}
    assert {each.environment for each in all_of_them} == {ENVIRONMENT}


def test_more_than_a_page_of_deployments_is_whole(place: AppPlace) -> None:
    made = {
        place.world.deploy(
            SHOP,
            creator=place.world.own_login,
            task=TASK,
            environment=ENVIRONMENT,
            head_sha=place.head_sha,
            description="",
        ).id
        for _ in range(101)
    }

    listed = place.deployments.list_deployments(SHOP, TASK)

    assert {each.id for each in listed} == made


def test_a_deployment_that_somebody_removed_is_made_again(place: AppPlace) -> None:
    known = place.deployments.ensure_deployment(SHOP, deployment_of(place), None)
    place.deployments.remove_deployment(SHOP, known)

    again = place.deployments.ensure_deployment(SHOP, deployment_of(place), known)

    assert [each.id for each in place.held] == [again]


def test_active_deployments_are_removed_one_by_one_and_then_the_environment(
    place: AppPlace,
) -> None:
    pushed = place.world.push(SHOP, place.number)
    live = deployment_of(place, DeploymentState.SUCCESS)
    first = place.deployments.ensure_deployment(SHOP, live, None)
    second = place.deployments.ensure_deployment(SHOP, replace(live, head_sha=pushed), None)
    place.deployments.set_deployment_state(SHOP, first, DeploymentState.INACTIVE)
    assert [each.state for each in place.held] == ["inactive", "success"]

    for deployment_id in (first, second):
        place.deployments.remove_deployment(SHOP, deployment_id)
    assert place.world.environments(SHOP) == {ENVIRONMENT}
    place.deployments.remove_environment(SHOP, ENVIRONMENT)

    assert place.held == []
    assert place.world.environments(SHOP) == set()


def test_what_is_gone_already_is_removed_without_a_word(place: AppPlace) -> None:
    place.deployments.remove_deployment(SHOP, 4711)
    place.deployments.set_deployment_state(SHOP, 4711, DeploymentState.INACTIVE)
    place.deployments.remove_environment(SHOP, ENVIRONMENT)


def test_what_is_out_of_sight_is_not_taken_for_gone(place: AppPlace) -> None:
    known = place.deployments.ensure_deployment(SHOP, deployment_of(place), None)

    place.world.hide(SHOP)

    with pytest.raises(TransientError):
        place.deployments.list_deployments(SHOP, TASK)
    with pytest.raises(TransientError):
        place.deployments.remove_deployment(SHOP, known)
    with pytest.raises(TransientError):
        place.deployments.remove_environment(SHOP, ENVIRONMENT)


def test_nothing_that_was_delivered_is_listed_as_failed(place: AppPlace) -> None:
    assert place.forge.redeliveries is not None
    since = datetime.now(UTC) - timedelta(days=4)

    assert place.forge.redeliveries.list_failed_deliveries(since) == []

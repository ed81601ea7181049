"""What a soak sees at the stand-in GitHub: what may be left, what is there twice, and how it fails the manager."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from previews.adapters.forges.github import GitHubForge as Adapter
from previews.domain.comment import marker_of
from previews.domain.deployments import environment_of, task_of
from previews.domain.feedback import Check, CheckState, Deployment, DeploymentState
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.status_line import status_context
from previews.errors import TransientError
from tests.bench.rig import PROJECT
from tests.github.as_app import Ticks, app_forge
from tests.soak.crowd import QUESTION
from tests.soak.drain import ELSEWHERE
from tests.soak.faults import OF_GITHUB, Fault
from tests.soak.forge import Checked
from tests.soak.github_forge import DEPLOYMENTS, ENVIRONMENTS, GitHubForge
from tests.soak.github_history import RememberingGitHub, problem_of
from tests.soak.things import Thing
from tests.world.manager import Manager

INSTANCE = "soak"
SHOP = f"{INSTANCE}/shop"
LIFE = 7
QUEUED, GOING, SUCCESS, FAILURE, INACTIVE = DeploymentState
REMOVED = "Removed: nothing is left"


@pytest.fixture
def github() -> Iterator[RememberingGitHub]:
    with RememberingGitHub() as standin:
        for name in (SHOP, f"{INSTANCE}/{ELSEWHERE}"):
            standin.add_repository(name)
        yield standin


@pytest.fixture
def forge(github: RememberingGitHub, tmp_path: Path) -> Iterator[GitHubForge]:
    manager = Manager(tmp_path / "manager")
    yield GitHubForge(github, manager, repository=SHOP, instance=INSTANCE, secret="-")
    manager.end()


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def app(github: RememberingGitHub, tmp_path: Path, ticks: Ticks) -> Adapter:
    """What the manager has."""
    return app_forge(github, tmp_path, ticks)


def deploy(app: Adapter, number: int, head_sha: HeadSha, state: DeploymentState) -> int:
    assert app.deployments is not None
    wanted = Deployment(
        task=task_of(INSTANCE, PreviewKey(PROJECT, number)),
        environment=environment_of(PROJECT),
        head_sha=head_sha,
        state=state,
        description="",
        environment_url="",
        log_url="",
    )
    return app.deployments.ensure_deployment(SHOP, wanted, None)


def say(app: Adapter, head_sha: HeadSha, state: CheckState, title: str, owner: str = "-") -> None:
    assert app.checks is not None
    check = Check(
        name=status_context(PROJECT),
        external_id=owner,
        head_sha=head_sha,
        state=state,
        title=title,
        summary="-",
        text="",
        details_url="",
    )
    app.checks.ensure_check(SHOP, check, None)


def comment(app: Adapter, number: int, marker: str = marker_of(INSTANCE)) -> None:
    app.ensure_comment(SHOP, number, marker=marker, body=f"{marker}\nWords")


@pytest.mark.parametrize(
    "states",
    [
        [INACTIVE],
        [QUEUED, GOING, SUCCESS, INACTIVE],
        [GOING, GOING, SUCCESS, FAILURE, SUCCESS, INACTIVE, INACTIVE],
        [GOING, INACTIVE, GOING, SUCCESS, INACTIVE],
    ],
    ids=["nothing else", "usual", "said twice, and ill for a while", "reopened"],
)
def test_a_deployment_may_only_go_on(states: list[DeploymentState]) -> None:
    assert problem_of(states) == ""


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ([], "nothing said"),
        ([GOING, SUCCESS], "not inactive: in_progress, success"),
        ([GOING, SUCCESS, GOING, INACTIVE], "went back"),
        ([GOING, QUEUED, INACTIVE], "went back"),
    ],
)
def test_one_that_went_back_or_was_deleted_at_work_is_said(
    states: list[DeploymentState], problem: str
) -> None:
    assert problem in problem_of(states)


def test_deployments_are_left_over_with_their_pull_request_until_they_are_deleted(
    github: RememberingGitHub, forge: GitHubForge, app: Adapter
) -> None:
    number = forge.open_pull_request(LIFE)
    head_sha = forge.first_commit(LIFE)
    deployed = deploy(app, number, head_sha, GOING)

    [left] = forge.take()
    assert (left.kind, left.number) == (DEPLOYMENTS, number)

    assert app.deployments is not None
    app.deployments.remove_deployment(SHOP, deployed)
    assert forge.take() == []
    assert forge.wrong() == []
    assert forge.figures()["deployments_removed"] == 1

    github.remove_deployment_of(SHOP, deploy(app, number, head_sha, SUCCESS))
    [problem] = forge.wrong()
    assert "not inactive" in problem


def test_the_environment_is_left_over_when_the_project_is_gone(
    forge: GitHubForge, app: Adapter
) -> None:
    number = forge.open_pull_request(LIFE)
    deployed = deploy(app, number, forge.first_commit(LIFE), GOING)
    assert app.deployments is not None
    app.deployments.remove_deployment(SHOP, deployed)
    assert forge.take() == []

    assert forge.forget_project()

    assert forge.take() == [Thing(ENVIRONMENTS, environment_of(PROJECT), None)]
    app.deployments.remove_environment(SHOP, environment_of(PROJECT))
    assert forge.take() == []


def test_a_removal_is_said_by_one_check_run_of_each_head_and_one_comment(
    forge: GitHubForge, app: Adapter
) -> None:
    number = forge.open_pull_request(LIFE)
    heads = [forge.first_commit(LIFE), forge.push(LIFE, 1)]
    assert forge.check(number, heads, was_live=False) == Checked("", 0, 0, 0, 0)
    assert "no check run" in forge.check(number, heads, was_live=True).problem

    say(app, heads[0], CheckState.IN_PROGRESS, "Deploying")
    say(app, heads[1], CheckState.SUCCESS, "Live")
    assert "'Live'" in forge.check(number, heads, was_live=True).problem
    say(app, heads[1], CheckState.NEUTRAL, REMOVED)
    assert "go on" in forge.check(number, heads, was_live=True).problem
    say(app, heads[0], CheckState.NEUTRAL, "Superseded")
    assert "no comment" in forge.check(number, heads, was_live=True).problem
    comment(app, number)
    assert forge.check(number, heads, was_live=True) == Checked("", 1, 0, 0, 0)


def test_a_live_preview_is_shown_beside_its_commit_and_among_the_deployments(
    forge: GitHubForge, app: Adapter
) -> None:
    number, head_sha = forge.open_pull_request(LIFE), forge.first_commit(LIFE)
    say(app, head_sha, CheckState.SUCCESS, "Live")
    deploy(app, number, head_sha, GOING)
    assert not forge.shows_live(number, head_sha)
    deploy(app, number, head_sha, SUCCESS)
    assert forge.shows_live(number, head_sha)
    say(app, head_sha, CheckState.FAILURE, "Not working")
    assert not forge.shows_live(number, head_sha)


def test_what_is_there_twice_is_said(
    github: RememberingGitHub, forge: GitHubForge, app: Adapter
) -> None:
    number = forge.open_pull_request(LIFE)
    heads = [forge.first_commit(LIFE)]
    for owner in ("one", "another"):
        say(app, heads[0], CheckState.NEUTRAL, REMOVED, owner)
    for marker in ("<!-- previews:soak -->", "<!-- previews:other -->"):
        comment(app, number, marker)
    forge.say(number, QUESTION)
    for place in (1, 2):
        comment(app, number, f"<!-- previews:soak:reply:{place} -->")
    # What somebody else writes counts for nothing, whatever it looks like.
    github.comment(SHOP, number, "<!-- previews:soak -->")

    found = forge.check(number, heads, was_live=True)

    assert "without a reaction" in found.problem
    assert list(found.duplicates(number)) == [
        f"2 comments on {number}",
        f"2 answers to 1 questions on {number}",
        f"2 check runs of {number} on {heads[0][:7]}",
    ]


@pytest.mark.parametrize("fault", OF_GITHUB)
def test_each_outage_fails_the_manager_until_it_is_over(
    forge: GitHubForge, app: Adapter, ticks: Ticks, fault: Fault
) -> None:
    forge.open_pull_request(LIFE)
    assert len(app.list_open_pull_requests(SHOP)) == 1
    begin, end = forge.outages()[fault]

    begin()
    with pytest.raises(TransientError):
        app.list_open_pull_requests(SHOP)
    assert forge.open_numbers() == [1]

    end()
    ticks.pass_by(60)
    assert len(app.list_open_pull_requests(SHOP)) == 1


def test_traffic_that_is_none_of_githubs_is_said(
    github: RememberingGitHub, forge: GitHubForge
) -> None:
    httpx2.get(f"{github.url}/nothing/of/the/kind", trust_env=False)

    assert any("no such endpoint" in each for each in forge.wrong())
    github.violations.clear()

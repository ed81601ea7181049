"""What GitHub is asked for comments, checks, deployments and deliveries: how often, and with what."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.domain.conversation import Reaction
from previews.domain.feedback import Check, CheckState, Deployment, DeploymentState
from previews.domain.preview import HeadSha
from previews.errors import StalledError, TransientError
from tests.github.as_app import app_forge
from tests.github.server import Fault, refusal
from tests.github.standin import StandInGitHub
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

SHOP = "acme/shop"
MARKER = "<!-- previews:acme -->"
REPOSITORY = "/repos/{owner}/{repo}"


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        standin.add_repository(SHOP)
        yield standin


@pytest.fixture
def forge(github: StandInGitHub, tmp_path: Path) -> GitHubForge:
    return app_forge(github, tmp_path)


@pytest.fixture
def token_forge(github: StandInGitHub, tmp_path: Path) -> GitHubForge:
    file = tmp_path / "token"
    file.write_text(github.token)
    return GitHubForge(api_url=github.url, credentials=TokenFile(file))


@pytest.fixture
def head_sha(github: StandInGitHub) -> HeadSha:
    number = github.open_pull_request(SHOP)
    return github.pull_request(SHOP, number).head_sha


def check(head_sha: HeadSha, state: CheckState) -> Check:
    return Check(
        name="preview/shop",
        external_id="acme/shop#1",
        head_sha=head_sha,
        state=state,
        title="Deploying",
        summary="",
        text="",
        details_url="",
    )


def deployment(head_sha: HeadSha, state: DeploymentState) -> Deployment:
    return Deployment(
        task="previews:acme:shop#1",
        environment="preview/shop",
        head_sha=head_sha,
        state=state,
        description="",
        environment_url="",
        log_url="",
    )


def test_what_is_known_by_its_id_costs_one_request_for_each_change(
    github: StandInGitHub, forge: GitHubForge, head_sha: HeadSha
) -> None:
    assert forge.checks is not None
    assert forge.deployments is not None
    forge.fetch_pull_request(SHOP, 1)
    before = github.counts()

    run = forge.checks.ensure_check(SHOP, check(head_sha, CheckState.QUEUED), None)
    forge.checks.ensure_check(SHOP, check(head_sha, CheckState.SUCCESS), run)
    made = forge.deployments.ensure_deployment(
        SHOP, deployment(head_sha, DeploymentState.QUEUED), None
    )
    forge.deployments.ensure_deployment(SHOP, deployment(head_sha, DeploymentState.SUCCESS), made)
    said = forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER} Deploying")
    forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER} Live", known_id=said)
    forge.deployments.remove_deployment(SHOP, made)

    spent = github.counts() - before
    # Who we are is asked once, for the whole life of a manager.
    assert spent == Counter(
        {
            f"GET {REPOSITORY}/commits/{{ref}}/check-runs": 1,
            f"POST {REPOSITORY}/check-runs": 1,
            f"PATCH {REPOSITORY}/check-runs/{{check_run_id}}": 1,
            f"GET {REPOSITORY}/deployments": 1,
            f"POST {REPOSITORY}/deployments": 1,
            f"POST {REPOSITORY}/deployments/{{deployment_id}}/statuses": 3,
            f"DELETE {REPOSITORY}/deployments/{{deployment_id}}": 1,
            "GET /app": 1,
            "GET /users/{username}": 1,
            f"GET {REPOSITORY}/issues/{{issue_number}}/comments": 1,
            f"POST {REPOSITORY}/issues/{{issue_number}}/comments": 1,
            f"PATCH {REPOSITORY}/issues/comments/{{comment_id}}": 1,
        }
    )


def test_a_deployment_ends_no_other_and_is_none_of_production(
    github: StandInGitHub, forge: GitHubForge, head_sha: HeadSha
) -> None:
    assert forge.deployments is not None

    forge.deployments.ensure_deployment(SHOP, deployment(head_sha, DeploymentState.SUCCESS), None)

    created, said = (each.body for each in github.requests[-2:])
    assert created == {
        "ref": head_sha,
        "task": "previews:acme:shop#1",
        "environment": "preview/shop",
        "description": "",
        "required_contexts": [],
        "auto_merge": False,
        "transient_environment": True,
        "production_environment": False,
    }
    assert said == {"state": "success", "description": "", "auto_inactive": False}


def test_a_token_has_neither_checks_nor_deployments_nor_deliveries(
    github: StandInGitHub, token_forge: GitHubForge
) -> None:
    assert token_forge.checks is None
    assert token_forge.deployments is None
    assert token_forge.redeliveries is None
    assert github.requests == []


def test_an_environment_that_the_app_may_not_remove_is_told_of(
    github: StandInGitHub, forge: GitHubForge, head_sha: HeadSha
) -> None:
    assert forge.deployments is not None
    forge.deployments.ensure_deployment(SHOP, deployment(head_sha, DeploymentState.QUEUED), None)
    github.fail(refusal(403, "Resource not accessible by integration"), on="DELETE", times=1)

    with pytest.raises(StalledError, match="not accessible"):
        forge.deployments.remove_environment(SHOP, "preview/shop")


def test_more_changed_files_than_github_lists_are_not_taken_for_all(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    some, most = (
        github.open_pull_request(SHOP, files={f"{each}.md": str(each) for each in range(count)})
        for count in (2_999, 3_001)
    )

    assert forge.list_changed_paths(SHOP, some).is_whole
    found = forge.list_changed_paths(SHOP, most)

    assert not found.is_whole
    assert len(found.paths) == 3_000


@pytest.mark.parametrize(
    "answer",
    [
        {"permission": "superuser", "role_name": "", "user": None},
        {"role_name": "admin"},
        {"permission": None},
    ],
)
def test_a_permission_that_nobody_knows_is_none_at_all(
    github: StandInGitHub, token_forge: GitHubForge, answer: object
) -> None:
    github.fail(Fault(status=200, body=json.dumps(answer).encode()), on="permission")

    with pytest.raises(TransientError):
        token_forge.permission_of(SHOP, "octo-dev")


@pytest.mark.parametrize(
    "blob",
    [
        {"content": "ZHJhZnRz", "encoding": "utf-8", "size": 6},
        {"content": "ZHJhZnRz", "encoding": "base64", "size": 7},
        {"content": "ZHJh?", "encoding": "base64", "size": 3},
        {"content": None, "encoding": "base64", "size": 0},
        {},
    ],
)
def test_half_a_file_is_none(github: StandInGitHub, token_forge: GitHubForge, blob: object) -> None:
    github.write_file(SHOP, ".previews.yaml", "drafts")
    github.fail(Fault(status=200, body=json.dumps(blob).encode()), on="/git/blobs/")

    with pytest.raises(TransientError):
        token_forge.read_file(SHOP, "main", ".previews.yaml")


def test_a_large_file_is_not_even_asked_for(
    github: StandInGitHub, token_forge: GitHubForge
) -> None:
    github.write_file(SHOP, ".previews.yaml", "#" * 10_000_000)

    with pytest.raises(StalledError):
        token_forge.read_file(SHOP, "main", ".previews.yaml")

    assert [each.path for each in github.requests] == [f"/repos/{SHOP}/git/trees/main"]


def test_a_locked_conversation_is_told_of(github: StandInGitHub, token_forge: GitHubForge) -> None:
    number = github.open_pull_request(SHOP)
    comment = github.comment(SHOP, number, "/preview")
    github.fail(refusal(403, "Unable to create comment because issue is locked."), on="POST")

    with pytest.raises(StalledError, match="locked"):
        token_forge.react(SHOP, number, comment, Reaction.DONE)


def test_failed_deliveries_are_listed_until_one_more_attempt_arrives(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    assert forge.redeliveries is not None
    received: list[str] = []

    def receive(asked: Asked, reply: Reply) -> None:
        received.append(asked.headers["x-github-delivery"])
        reply.send(202)

    with ScriptedServer(receive) as receiver:
        since = datetime.now(UTC) - timedelta(minutes=1)
        github.hook(receiver.url, "secret")
        github.loses_deliveries = True
        number = github.open_pull_request(SHOP)
        github.comment(SHOP, number, "/preview")
        failed = forge.redeliveries.list_failed_deliveries(since)
        forge.redeliveries.redeliver(failed[0].id)
        lost_again = forge.redeliveries.list_failed_deliveries(since)
        github.loses_deliveries = False
        for each in lost_again:
            forge.redeliveries.redeliver(each.id)

        assert [each.guid for each in failed] == [each.guid for each in github.deliveries[1:3]]
        assert {each.guid for each in lost_again} == {each.guid for each in failed}
        assert sorted(received[1:]) == sorted(each.guid for each in failed)
        assert forge.redeliveries.list_failed_deliveries(since) == []
        assert forge.redeliveries.list_failed_deliveries(datetime.now(UTC)) == []


def test_deliveries_are_read_page_by_page_and_no_further_than_asked_for(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    assert forge.redeliveries is not None
    github.hook("http://127.0.0.1:1/nobody", "secret")
    github.loses_deliveries = True
    for _ in range(120):
        github.open_pull_request(SHOP)

    everything = forge.redeliveries.list_failed_deliveries(datetime.now(UTC) - timedelta(days=4))
    nothing = forge.redeliveries.list_failed_deliveries(datetime.now(UTC) + timedelta(days=1))

    assert len(everything) == 121
    assert everything == sorted(everything, key=lambda each: each.delivered_at)
    assert nothing == []
    assert github.counts()["GET /app/hook/deliveries"] == 3


def test_a_delivery_that_github_no_longer_has_is_let_go(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    assert forge.redeliveries is not None

    forge.redeliveries.redeliver(4711)

    assert github.deliveries == []

"""What GitHub's adapter writes: once, at the price of few requests, and with GitHub's own words where it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.domain.preview import HeadSha
from previews.domain.record import CommitStatus, StatusState
from previews.errors import StalledError, TransientError
from tests.github.server import ANSWER_LOST, refusal
from tests.github.standin import StandInGitHub

SHOP = "acme/shop"
MARKER = "<!-- previews:acme -->"
BODY = f"{MARKER}\nLive"
LIVE = CommitStatus("preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example/")


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        standin.add_repository(SHOP)
        yield standin


@pytest.fixture
def token_file(tmp_path: Path, github: StandInGitHub) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{github.token}\n")
    return file


@pytest.fixture
def forge(github: StandInGitHub, token_file: Path) -> GitHubForge:
    return GitHubForge(api_url=github.url, credentials=TokenFile(token_file))


def test_pygithub_never_sleeps_on_our_threads(
    github: StandInGitHub, forge: GitHubForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha

    def sleep(seconds: float) -> None:
        pytest.fail(f"PyGithub sleeps for {seconds} s")

    monkeypatch.setattr("github.Requester.time.sleep", sleep)
    for _ in range(2):
        forge.set_commit_status(SHOP, head_sha, LIVE)
        forge.list_open_pull_requests(SHOP)


def test_a_rate_limit_on_a_write_is_no_refusal_of_it(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    github.fail(refusal(403, "API rate limit exceeded for user", retry_after="5"), on="POST")

    with pytest.raises(TransientError) as caught:
        forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)

    assert caught.value.reason == "ForgeRateLimited"


def test_githubs_words_reach_the_reader_on_one_line(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.fail(refusal(422, "Validation\nFailed \x1b[31m\u202e: no"), on="POST")

    with pytest.raises(StalledError) as caught:
        forge.set_commit_status(SHOP, HeadSha("0123456789" * 4), LIVE)

    assert "Validation Failed [31m : no" in caught.value.message


def test_what_github_refuses_to_write_stalls_with_githubs_words(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha
    too_long = CommitStatus("preview/shop", StatusState.SUCCESS, "x" * 141, "")

    with pytest.raises(StalledError, match="No commit found for SHA"):
        forge.set_commit_status(SHOP, HeadSha("0123456789" * 4), LIVE)
    with pytest.raises(StalledError, match="too long"):
        forge.set_commit_status(SHOP, head_sha, too_long)
    with pytest.raises(StalledError, match="too long"):
        forge.ensure_comment(SHOP, number, marker=MARKER, body=MARKER + "x" * 65_536)
    github.fail(refusal(403, "Repository was archived so is read-only."), on="POST")
    with pytest.raises(StalledError, match="archived"):
        forge.set_commit_status(SHOP, head_sha, LIVE)


def test_a_status_costs_one_request_and_an_unchanged_comment_no_write(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha
    comments = f"/repos/{SHOP}/issues/{number}/comments"

    forge.set_commit_status(SHOP, head_sha, LIVE)
    forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)
    for _ in range(2):
        forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)

    assert [(asked.method, asked.path) for asked in github.requests] == [
        ("POST", f"/repos/{SHOP}/statuses/{head_sha}"),
        ("GET", "/user"),
        ("GET", comments),
        ("POST", comments),
        ("GET", comments),
        ("GET", comments),
    ]


def test_a_comment_whose_creation_was_not_confirmed_is_not_created_twice(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    github.fail(ANSWER_LOST, on="POST", times=1)

    with pytest.raises(TransientError):
        forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)
    forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)

    assert [comment.body for comment in github.comments(SHOP, number)] == [BODY]


def test_a_comment_that_goes_while_it_is_updated_is_tried_again(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)
    github.fail(refusal(404, "Not Found"), on="PATCH", times=1)

    with pytest.raises(TransientError):
        forge.ensure_comment(SHOP, number, marker=MARKER, body=f"{BODY}!")


def test_a_comment_that_differs_by_line_ends_only_is_left_alone(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    forge.ensure_comment(SHOP, number, marker=MARKER, body=f"{MARKER}\r\nLive")

    forge.ensure_comment(SHOP, number, marker=MARKER, body=f"{MARKER}\nLive\n")

    assert not [asked for asked in github.requests if asked.method == "PATCH"]

"""GitHub's limits: what is used up is not asked for, nobody waits for it, and what decides comes before what tells."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.adapters.forges.rate_budget import CREATIONS_PER_MINUTE
from previews.domain.record import CommitStatus, StatusState
from previews.errors import TransientError
from tests.github.as_app import Ticks, app_forge
from tests.github.server import Fault, refusal
from tests.github.standin import StandInGitHub

SHOP, OTHER = "acme/shop", "other/site"
LIVE = CommitStatus("preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example/")
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        standin.add_repository(SHOP)
        standin.add_repository(OTHER)
        yield standin


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def forge(github: StandInGitHub, tmp_path: Path, ticks: Ticks) -> GitHubForge:
    token = tmp_path / "token"
    token.write_text(github.token)
    return GitHubForge(api_url=github.url, credentials=TokenFile(token), monotonic=ticks)


def wait_of(forge: GitHubForge, repository: str = SHOP) -> float:
    """How long a limited read has to wait."""
    with pytest.raises(TransientError) as caught:
        forge.list_open_pull_requests(repository)
    assert caught.value.reason == "ForgeRateLimited"
    assert caught.value.retry_after_seconds is not None
    return caught.value.retry_after_seconds


def limited_by(remaining: int, reset: float, **headers: str) -> Fault:
    """GitHub's refusal when the requests of an hour are used up, or are said to be."""
    return refusal(
        403,
        "API rate limit exceeded for user ID 1.",
        x_ratelimit_limit="5000",
        x_ratelimit_remaining=str(remaining),
        x_ratelimit_reset=str(int(reset)),
        **headers,
    )


@pytest.mark.fault(40)
def test_an_hour_that_is_used_up_is_waited_for_and_nothing_is_sent_meanwhile(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    github.fail(limited_by(0, time.time() + 900), times=1)
    assert wait_of(forge) == pytest.approx(900, abs=5)
    sent = len(github.requests)

    ticks.pass_by(600)
    assert wait_of(forge) == pytest.approx(300, abs=5)
    assert len(github.requests) == sent
    ticks.pass_by(310)

    assert forge.list_open_pull_requests(SHOP) == []


@pytest.mark.fault(40)
def test_the_last_of_an_hour_is_known_without_being_refused(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.limits.limit = 3
    for _ in range(3):
        forge.check()

    assert wait_of(forge) == pytest.approx(3600, abs=5)
    assert github.limits.counted == {200: 3}


@pytest.mark.fault(40)
def test_a_reset_in_the_past_is_waited_for_a_moment_only(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    github.fail(limited_by(0, time.time() - 500), times=1)

    assert wait_of(forge) == 1.0
    ticks.pass_by(1)

    assert forge.list_open_pull_requests(SHOP) == []


@pytest.mark.fault(40)
@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_a_reset_is_read_by_githubs_own_clock(
    github: StandInGitHub, forge: GitHubForge, ahead: float
) -> None:
    github.set_clock_ahead(ahead)
    github.fail(limited_by(0, time.time() + ahead + 900), times=1)

    assert wait_of(forge) == pytest.approx(900, abs=5)


@pytest.mark.fault(40)
def test_a_secondary_limit_pauses_everything_for_as_long_as_it_says(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha
    github.fail(refusal(403, SECONDARY, retry_after="120"), on="POST", times=1)
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            forge.set_commit_status(SHOP, head_sha, LIVE)
        assert caught.value.reason == "ForgeRateLimited"
        assert caught.value.retry_after_seconds == 120

    assert wait_of(forge) == 120
    assert len(github.requests) == 1
    ticks.pass_by(120)

    forge.set_commit_status(SHOP, head_sha, LIVE)
    assert github.statuses(SHOP, head_sha) == [LIVE]


@pytest.mark.fault(40)
def test_without_a_time_it_is_a_minute_and_twice_as_long_each_time(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    github.fail(refusal(429, SECONDARY))
    for wait in (60, 120, 240):
        assert wait_of(forge) == wait
        ticks.pass_by(wait)
    github.heal()
    forge.list_open_pull_requests(SHOP)

    github.fail(refusal(403, SECONDARY), times=1)

    assert wait_of(forge) == 60


@pytest.mark.fault(40)
def test_writes_stay_below_what_github_allows_a_minute(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    head_sha = github.pull_request(SHOP, github.open_pull_request(SHOP)).head_sha
    for index in range(CREATIONS_PER_MINUTE):
        forge.set_commit_status(SHOP, head_sha, CommitStatus(f"{index}", LIVE.state, "", ""))
        ticks.pass_by(0.1)

    with pytest.raises(TransientError) as caught:
        forge.set_commit_status(SHOP, head_sha, LIVE)

    assert caught.value.reason == "ForgeRateLimited"
    assert caught.value.retry_after_seconds == pytest.approx(52, abs=0.1)
    assert len(github.requests) == CREATIONS_PER_MINUTE
    # Whoever decides about previews reads on.
    assert len(forge.list_open_pull_requests(SHOP)) == 1


@pytest.mark.fault(40)
def test_feedback_leaves_the_last_tenth_to_what_decides(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha
    github.limits.use(github.token, 4499)
    forge.check()

    with pytest.raises(TransientError) as caught:
        forge.set_commit_status(SHOP, head_sha, LIVE)
    with pytest.raises(TransientError):
        forge.ensure_comment(SHOP, number, marker="<!-- previews -->", body="<!-- previews -->")

    assert caught.value.reason == "ForgeRateLimited"
    assert forge.fetch_pull_request(SHOP, number) is not None
    assert {asked.method for asked in github.requests} == {"GET"}


@pytest.mark.fault(40)
def test_one_installation_that_is_limited_holds_up_no_other(tmp_path: Path) -> None:
    with StandInGitHub() as github:
        for name in (SHOP, OTHER):
            github.add_repository(name)
        forge = app_forge(github, tmp_path)
        github.fail(refusal(403, SECONDARY, retry_after="90"), on=f"{SHOP}/pulls", times=1)

        assert wait_of(forge) == 90
        assert forge.list_open_pull_requests(OTHER) == []
        assert wait_of(forge) == 90

        waits = {each.account: each.wait_seconds for each in forge.connection.allowances()}
        assert sorted(waits.values()) == [0, 0, 90]
        assert waits["the App"] == 0


def test_a_server_without_limits_is_not_limited(github: StandInGitHub, forge: GitHubForge) -> None:
    github.limits.is_enterprise = True
    for _ in range(3):
        forge.list_open_pull_requests(SHOP)

    (left,) = forge.connection.allowances()
    assert (left.limit, left.remaining) == (None, None)


def test_nor_are_writes_counted_there(github: StandInGitHub, forge: GitHubForge) -> None:
    github.limits.is_enterprise = True
    number = github.open_pull_request(SHOP)
    head_sha = github.pull_request(SHOP, number).head_sha

    for index in range(CREATIONS_PER_MINUTE + 2):
        forge.set_commit_status(SHOP, head_sha, CommitStatus(f"{index}", LIVE.state, "", ""))

    assert len(github.statuses(SHOP, head_sha)) == CREATIONS_PER_MINUTE + 2

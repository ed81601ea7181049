"""What GitHub is asked for again is asked for by its ETag, which costs nothing and proves as much as a new answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.adapters.forges.github_requester import PER_PAGE
from previews.adapters.forges.kept_answers import IDLE_SECONDS_MAX, KeptAnswers
from previews.errors import TransientError
from tests.github.as_app import Ticks, app_forge
from tests.github.server import Fault, refusal
from tests.github.standin import StandInGitHub

SHOP = "acme/shop"
REPOSITORIES, OPEN_IN_EACH = 20, 25
"""The bench does the same with ten times as many repositories."""


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        standin.add_repository(SHOP)
        yield standin


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def forge(github: StandInGitHub, tmp_path: Path, ticks: Ticks) -> GitHubForge:
    token = tmp_path / "token"
    token.write_text(github.token)
    return GitHubForge(api_url=github.url, credentials=TokenFile(token), monotonic=ticks)


def test_a_resync_of_all_without_news_costs_one_free_request_for_each_repository(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    names = [f"acme/shop-{index}" for index in range(REPOSITORIES)]
    for name in names:
        for _ in range(OPEN_IN_EACH):
            github.open_pull_request(name)
    first = {name: forge.list_open_pull_requests(name) for name in names}
    before, used = len(github.requests), forge.connection.allowances()[0].remaining

    second = {name: forge.list_open_pull_requests(name) for name in names}

    assert second == first
    assert {len(each) for each in second.values()} == {OPEN_IN_EACH}
    assert len(github.requests) - before == REPOSITORIES
    assert github.limits.counted == {200: REPOSITORIES, 304: REPOSITORIES}
    assert forge.connection.allowances()[0].remaining == used


def test_whatever_changes_in_a_list_is_seen(github: StandInGitHub, forge: GitHubForge) -> None:
    first, second = github.open_pull_request(SHOP), github.open_pull_request(SHOP)
    forge.list_open_pull_requests(SHOP)

    third = github.open_pull_request(SHOP)
    assert {each.number for each in forge.list_open_pull_requests(SHOP)} == {first, second, third}
    github.close(SHOP, first)
    assert {each.number for each in forge.list_open_pull_requests(SHOP)} == {second, third}
    github.push(SHOP, second)
    pushed = {each.number: each.head_sha for each in forge.list_open_pull_requests(SHOP)}
    assert pushed[second] == github.pull_request(SHOP, second).head_sha
    github.close(SHOP, second)
    github.close(SHOP, third)
    assert forge.list_open_pull_requests(SHOP) == []


@pytest.mark.parametrize("number_open", [PER_PAGE, PER_PAGE + 1])
def test_a_list_that_fills_a_page_is_read_anew(
    github: StandInGitHub, forge: GitHubForge, number_open: int
) -> None:
    """The first page may stay as it is, links and all, when another one comes after it."""
    for _ in range(number_open):
        github.open_pull_request(SHOP)

    for _ in range(2):
        assert len(forge.list_open_pull_requests(SHOP)) == number_open

    assert 304 not in github.limits.counted


def test_a_list_that_shrinks_to_one_page_is_kept_from_then_on(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    numbers = [github.open_pull_request(SHOP) for _ in range(PER_PAGE)]
    forge.list_open_pull_requests(SHOP)
    github.close(SHOP, numbers[0])

    for _ in range(2):
        assert len(forge.list_open_pull_requests(SHOP)) == PER_PAGE - 1

    assert github.limits.counted[304] == 1


def test_a_pull_request_that_is_looked_at_again_costs_nothing(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    first = forge.fetch_pull_request(SHOP, number)
    assert forge.fetch_pull_request(SHOP, number) == first
    assert github.limits.counted[304] == 1

    github.close(SHOP, number)

    closed = forge.fetch_pull_request(SHOP, number)
    assert closed is not None
    assert not closed.is_open


@pytest.mark.fault(39)
def test_not_modified_is_no_answer_to_whoever_did_not_ask(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.open_pull_request(SHOP)
    github.fail(Fault(status=304, body=b""), times=1)

    with pytest.raises(TransientError):
        forge.list_open_pull_requests(SHOP)


@pytest.mark.fault(39)
@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"of something else"'}])
def test_not_modified_that_does_not_say_what_is_not_believed(
    github: StandInGitHub, forge: GitHubForge, headers: dict[str, str]
) -> None:
    number = github.open_pull_request(SHOP)
    forge.list_open_pull_requests(SHOP)
    github.close(SHOP, number)
    github.fail(Fault(status=304, body=b"", headers=headers), times=1)

    assert forge.list_open_pull_requests(SHOP) == []


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body=b"{}"),
        Fault(status=200, body=b""),
        refusal(404, "Not Found"),
        refusal(403, "Resource not accessible"),
    ],
)
def test_a_false_answer_after_a_good_one_is_an_error(
    github: StandInGitHub, forge: GitHubForge, fault: Fault
) -> None:
    github.open_pull_request(SHOP)
    first = forge.list_open_pull_requests(SHOP)
    github.fail(fault, times=1)

    with pytest.raises(TransientError):
        forge.list_open_pull_requests(SHOP)

    assert forge.list_open_pull_requests(SHOP) == first


def test_another_token_is_given_everything_anew(
    github: StandInGitHub, tmp_path: Path, ticks: Ticks
) -> None:
    """GitHub's ETags are for one token: what was kept by another's is replaced."""
    number = github.open_pull_request(SHOP)
    forge = app_forge(github, tmp_path, ticks)
    forge.list_open_pull_requests(SHOP)
    ticks.pass_by(3600)

    for _ in range(2):
        assert [each.number for each in forge.list_open_pull_requests(SHOP)] == [number]

    assert len(github.app.tokens) == 2
    assert github.limits.counted[304] == 1


def test_what_nobody_asks_for_is_not_kept_for_ever() -> None:
    ticks = Ticks()
    kept = KeptAnswers(ticks, entries_max=3)
    for index in range(4):
        kept.keep(index, f'"{index}"', index)
    assert kept.find(0) is None
    assert len(kept) == 3

    ticks.pass_by(IDLE_SECONDS_MAX - 1)
    assert kept.find(1) is not None
    ticks.pass_by(2)

    assert kept.find(2) is None
    assert kept.find(1) is not None
    assert len(kept) == 1

"""GitHub's adapter against a stand-in that says false things: none of them is ever taken for an answer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.adapters.forges.github_requester import PER_PAGE
from previews.domain.preview import CIRun
from previews.domain.record import CommitStatus, StatusState
from previews.errors import PreviewsError, TransientError
from tests.github.server import (
    BROKEN_JSON,
    CUT_SHORT,
    EMPTY_BODY,
    EMPTY_LIST,
    HTML_FOR_JSON,
    HTML_PAGE,
    NOT_A_LIST,
    RESET,
    SERVER_ERROR,
    SILENT,
    Fault,
    refusal,
)
from tests.github.standin import StandInGitHub

SHOP = "acme/shop"
MARKER = "<!-- previews:acme -->"
BODY = f"{MARKER}\nLive"
LIVE = CommitStatus("preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example/")
FALSE_PAGES = {
    "server error": SERVER_ERROR,
    "HTML": HTML_FOR_JSON,
    "empty body": EMPTY_BODY,
    "not a list": NOT_A_LIST,
    "broken JSON": BROKEN_JSON,
    "cut short": CUT_SHORT,
    "reset": RESET,
    "null": Fault(status=200, body=b"null"),
    "an empty object": Fault(status=200, body=b"{}"),
    "a redirect to a login page": Fault(
        status=302, body=HTML_PAGE, content_type="text/html", headers={"Location": "/login"}
    ),
    "no content": Fault(status=204, body=b""),
    "not modified": Fault(status=304, body=b""),
    "accepted, and nothing yet": Fault(status=202, body=b"[]"),
    "a pull request without a head": Fault(status=200, body=b'[{"number": 1, "state": "open"}]'),
    "forbidden": refusal(403, "Resource not accessible by personal access token"),
    "not found": refusal(404, "Not Found"),
    "nested too deeply": Fault(status=200, body=b"[" * 200_000),
    "rate headers that are no numbers": Fault(
        status=200,
        body=b"[]",
        headers={"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "few"},
    ),
}


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


@pytest.mark.parametrize("fault", FALSE_PAGES.values(), ids=FALSE_PAGES.keys())
@pytest.mark.fault(39)
def test_a_false_list_is_an_error_and_no_list(
    github: StandInGitHub, forge: GitHubForge, fault: Fault
) -> None:
    github.open_pull_request(SHOP)
    github.fail(fault)

    with pytest.raises(TransientError):
        forge.list_open_pull_requests(SHOP)

    github.heal()
    assert len(forge.list_open_pull_requests(SHOP)) == 1


@pytest.mark.parametrize(
    "fault", [*FALSE_PAGES.values(), EMPTY_LIST], ids=[*FALSE_PAGES.keys(), "an empty list"]
)
@pytest.mark.fault(39)
def test_a_list_whose_second_page_is_false_is_no_list(
    github: StandInGitHub, forge: GitHubForge, fault: Fault
) -> None:
    for _ in range(PER_PAGE + 1):
        github.open_pull_request(SHOP)
    github.fail(fault, on="page=2")

    with pytest.raises(TransientError):
        forge.list_open_pull_requests(SHOP)


def test_a_list_that_goes_in_circles_is_an_error(github: StandInGitHub, forge: GitHubForge) -> None:
    link = f'<{github.url}/repos/{SHOP}/pulls?page=1>; rel="next"'
    github.open_pull_request(SHOP)
    github.fail(Fault(headers={"Link": link}))

    with pytest.raises(TransientError, match="pages"):
        forge.list_open_pull_requests(SHOP)


@pytest.mark.parametrize("fault", FALSE_PAGES.values(), ids=FALSE_PAGES.keys())
@pytest.mark.fault(39)
def test_a_false_answer_about_one_pull_request_is_never_its_absence(
    github: StandInGitHub, forge: GitHubForge, fault: Fault
) -> None:
    number = github.open_pull_request(SHOP)
    github.fail(fault)

    with pytest.raises(TransientError):
        forge.fetch_pull_request(SHOP, number)


def test_a_page_that_says_not_found_is_no_answer_of_githubs(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    for false in (
        Fault(status=404, body=HTML_PAGE, content_type="text/html"),
        Fault(status=404, body=b"{}"),
        Fault(status=404, body=b""),
    ):
        github.fail(false, on="/pulls/", times=1)
        with pytest.raises(TransientError):
            forge.fetch_pull_request(SHOP, number)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", None),
        ("state", "half-open"),
        ("number", "1"),
        ("title", None),
        ("head", None),
        ("head", {"sha": "ABC", "ref": "a", "repo": None}),
        ("head", {"sha": "main", "ref": "a", "repo": None}),
        ("base", {"ref": "main", "repo": None}),
    ],
)
def test_a_pull_request_that_is_not_whole_is_an_error(
    github: StandInGitHub, forge: GitHubForge, field: str, value: object
) -> None:
    number = github.open_pull_request(SHOP)
    document = github.payload("opened", github.pull_request(SHOP, number))["pull_request"]
    github.fail(Fault(status=200, body=json.dumps(document | {field: value}).encode()))

    with pytest.raises(TransientError) as caught:
        forge.fetch_pull_request(SHOP, number)

    assert caught.value.reason == "ForgeAnswer"


def test_an_author_whose_account_is_gone_is_shown_as_github_shows_them(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    document = github.payload("opened", github.pull_request(SHOP, number))["pull_request"]
    github.fail(Fault(status=200, body=json.dumps(document | {"user": None}).encode()))

    fetched = forge.fetch_pull_request(SHOP, number)

    assert fetched is not None
    assert fetched.author == "ghost"


def test_half_a_character_in_a_title_is_replaced(github: StandInGitHub, forge: GitHubForge) -> None:
    number = github.open_pull_request(SHOP)
    document = github.payload("opened", github.pull_request(SHOP, number))["pull_request"]
    github.fail(Fault(status=200, body=json.dumps(document | {"title": "\ud83d!"}).encode()))

    fetched = forge.fetch_pull_request(SHOP, number)

    assert fetched is not None
    assert fetched.title == "?!"


def test_a_forge_that_says_nothing_is_given_up_on(github: StandInGitHub, token_file: Path) -> None:
    impatient = GitHubForge(
        api_url=github.url, credentials=TokenFile(token_file), timeout_seconds=1
    )
    github.fail(SILENT)

    with pytest.raises(TransientError) as caught:
        impatient.check()

    assert caught.value.reason == "ForgeUnreachable"


def test_nothing_is_tried_again_behind_our_back(github: StandInGitHub, forge: GitHubForge) -> None:
    github.open_pull_request(SHOP)
    for fault in (RESET, SERVER_ERROR, refusal(403, "You have exceeded a secondary rate limit")):
        github.fail(fault, times=1)
        before = len(github.requests)
        with pytest.raises(TransientError):
            forge.list_open_pull_requests(SHOP)
        assert len(github.requests) == before + 1


def test_each_thread_has_a_connection_of_its_own(forge: GitHubForge) -> None:
    """PyGithub keeps the request under way in the connection, where another thread would find it."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        theirs = thread.submit(lambda: forge.connection.requester).result()

    assert theirs is not forge.connection.requester
    assert forge.connection.requester is forge.connection.requester


def test_githubs_wish_to_be_left_alone_is_passed_on(
    github: StandInGitHub, token_file: Path
) -> None:
    limited = "You have exceeded a secondary rate limit. Please wait a few minutes."
    for status, headers, wait in (
        (403, {"retry_after": "17"}, 17.0),
        (429, {"retry_after": "90"}, 90.0),
        (403, {}, 60.0),
        (429, {}, 60.0),
    ):
        forge = GitHubForge(api_url=github.url, credentials=TokenFile(token_file))
        github.fail(refusal(status, limited, **headers), times=1)
        with pytest.raises(TransientError) as caught:
            forge.fetch_pull_request(SHOP, 1)
        assert caught.value.reason == "ForgeRateLimited"
        assert caught.value.retry_after_seconds == wait


def test_a_maintenance_page_that_says_how_long_is_believed(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    for content_type in ("text/html", "application/json"):
        page = Fault(
            status=503,
            body=b'{"message": "Maintenance"}',
            content_type=content_type,
            headers={"Retry-After": "120"},
        )
        github.fail(page, times=1)
        with pytest.raises(TransientError) as caught:
            forge.check()
        assert caught.value.reason == "ForgeUnreachable"
        assert caught.value.retry_after_seconds == 120.0


def test_a_wrong_token_is_said_and_a_new_one_is_used_without_a_restart(
    github: StandInGitHub, forge: GitHubForge, token_file: Path
) -> None:
    for wrong in ("github_pat_of_yesterday", "", "two tokens", "line\nbreak", "café"):
        token_file.write_text(wrong)
        with pytest.raises(TransientError) as caught:
            forge.check()
        assert caught.value.reason == "ForgeCredentials"
        assert not wrong or wrong not in str(caught.value)
    token_file.unlink()
    with pytest.raises(TransientError, match="cannot be read"):
        forge.check()

    token_file.write_text(f"{github.token}\n")

    forge.check()


def test_no_error_holds_the_token(github: StandInGitHub, forge: GitHubForge) -> None:
    for fault in FALSE_PAGES.values():
        github.fail(fault, times=1)
        with pytest.raises(PreviewsError) as caught:
            forge.list_open_pull_requests(SHOP)
        assert github.token not in repr(caught.value)
        assert github.token not in caught.value.message


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_to_another_host_is_not_followed(
    github: StandInGitHub, forge: GitHubForge, status: int
) -> None:
    number = github.open_pull_request(SHOP)
    with StandInGitHub() as elsewhere:
        location = f"{elsewhere.url}/repositories/1/pulls/1".replace("127.0.0.1", "localhost")
        github.fail(Fault(status=status, body=b"{}", headers={"Location": location}))

        with pytest.raises(TransientError, match="localhost"):
            forge.fetch_pull_request(SHOP, number)

        assert elsewhere.requests == []
    assert len(github.requests) == 1


def test_a_next_page_at_another_host_is_not_asked_for(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.open_pull_request(SHOP)
    with StandInGitHub() as elsewhere:
        link = f'<{elsewhere.url}/repositories/1/pulls?page=2>; rel="next"'
        github.fail(Fault(headers={"Link": link}))

        with pytest.raises(TransientError, match="not below"):
            forge.list_open_pull_requests(SHOP)

        assert elsewhere.requests == []
    assert len(github.requests) == 1


def test_what_is_asked_at_a_former_name_keeps_its_query(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP, files={"db/2026/1.sql": "one\n"})
    head_sha = github.pull_request(SHOP, number).head_sha
    files = forge.list_files(SHOP, head_sha, "db")
    assert files
    github.rename(SHOP, "acme/store")
    before = len(github.requests)

    assert forge.list_files(SHOP, head_sha, "db") == files
    forge.find_run(SHOP, head_sha)

    asked = [each.query for each in github.requests[before:] if each.path.endswith("/actions/runs")]
    assert [each["head_sha"] for each in asked] == [[head_sha]] * 2


def test_an_answer_that_is_still_being_made_is_none_and_holds_nobody_up(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    github.fail(Fault(status=202, body=b"{}"), times=1)

    with pytest.raises(TransientError) as caught:
        forge.fetch_pull_request(SHOP, number)

    assert caught.value.reason == "ForgeAnswer"
    assert len(github.requests) == 1


@pytest.mark.parametrize("status", [301, 307])
def test_redirects_in_a_circle_end(github: StandInGitHub, forge: GitHubForge, status: int) -> None:
    location = f"{github.url}/repos/{SHOP}/pulls/1"
    github.fail(Fault(status=status, body=b"{}", headers={"Location": location}))

    with pytest.raises(TransientError):
        forge.fetch_pull_request(SHOP, 1)


def test_github_enterprise_server_answers_below_a_prefix(token_file: Path) -> None:
    with StandInGitHub(prefix="/api/v3") as enterprise:
        number = enterprise.open_pull_request(SHOP)
        for _ in range(PER_PAGE):
            enterprise.open_pull_request(SHOP)
        forge = GitHubForge(api_url=f"{enterprise.url}/", credentials=TokenFile(token_file))

        fetched = forge.fetch_pull_request(SHOP, number)
        assert fetched is not None
        forge.set_commit_status(SHOP, fetched.head_sha, LIVE)
        forge.ensure_comment(SHOP, number, marker=MARKER, body=BODY)
        forge.ensure_comment(SHOP, number, marker=MARKER, body=f"{BODY}!")

        assert len(forge.list_open_pull_requests(SHOP)) == PER_PAGE + 1
        assert enterprise.statuses(SHOP, fetched.head_sha) == [LIVE]
        assert [each.body for each in enterprise.comments(SHOP, number)] == [f"{BODY}!"]


def test_nobody_at_the_address_is_an_error(token_file: Path) -> None:
    with StandInGitHub() as gone:
        url = gone.url
    forge = GitHubForge(api_url=url, credentials=TokenFile(token_file))

    with pytest.raises(TransientError) as caught:
        forge.list_open_pull_requests(SHOP)

    assert caught.value.reason == "ForgeUnreachable"


def test_ci_that_is_no_workflow_of_github_is_found_as_a_check(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request("acme/shop")
    head_sha = github.pull_request("acme/shop", number).head_sha
    run = CIRun("elsewhere/build", "queued", "https://ci.example/7")
    github.run_ci("acme/shop", head_sha, run)
    github.ci_is_elsewhere = True

    assert forge.find_run("acme/shop", head_sha) == run

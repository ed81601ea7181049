"""What a visitor is told under the host of a preview that does not answer itself."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from previews.domain.probing import PAGE_HEADER
from previews.errors import TransientError
from previews.web.waiting import State
from tests.unit.visits import FIREFOX, HOST, KEY, PULL_REQUEST, ZONE, Page, Town, standing

HOSTILE = "<script>alert(1)</script>\"'&\ud83d{x} $heading"


@pytest.fixture
def town() -> Town:
    return Town()


# What is said


def test_a_visitor_of_a_sleeping_preview_wakes_it_and_gets_a_page_that_waits(town: Town) -> None:
    answer = town.visit()

    assert answer.status_code == 503
    assert town.woken == [KEY]
    page = Page(answer)
    assert page.refresh == answer.headers["retry-after"] == "2"
    assert "shop #42" in page.text
    assert "Waking up" in page.text
    assert "Nobody looked at it for an hour." in page.text
    assert page.first("a")["href"] == PULL_REQUEST


@pytest.mark.parametrize(
    ("state", "status", "retry_after"),
    [
        (State.WAKING, 503, "2"),
        (State.STARTING, 503, "2"),
        (State.QUEUED, 503, "10"),
        (State.CLOSED, 404, None),
        (State.EXPIRED, 404, None),
        (State.REMOVED, 404, None),
        (State.BLOCKED, 404, None),
        (State.PROBLEM, 503, None),
    ],
)
def test_only_who_sleeps_is_woken_and_only_what_will_come_is_waited_for(
    town: Town, state: State, status: int, retry_after: str | None
) -> None:
    town.standings[HOST] = standing(state, message="This is how it stands.")

    answer = town.visit()

    assert answer.status_code == status
    assert answer.headers.get("retry-after") == Page(answer).refresh == retry_after
    assert "This is how it stands." in Page(answer).text
    assert town.woken == []


@pytest.mark.parametrize("host", [HOST, f"pr-43.{ZONE}"])
def test_every_page_says_that_the_manager_made_it(town: Town, host: str) -> None:
    assert town.visit(host=host).headers[PAGE_HEADER]


@pytest.mark.parametrize(
    ("state", "page", "reason"),
    [
        (State.ASLEEP, "waiting", "Asleep"),
        (State.WAKING, "waiting", "Waking"),
        (State.STARTING, "waiting", "Starting"),
        (State.QUEUED, "waiting", "Queued"),
        (State.PROBLEM, "waiting", "Degraded"),
        (State.CLOSED, "ended", "Closed"),
        (State.EXPIRED, "ended", "Expired"),
        (State.REMOVED, "ended", "Removed"),
        (State.BLOCKED, "ended", "Blocked"),
        (None, "unknown", "Unknown"),
    ],
)
def test_every_page_says_what_it_is_and_that_it_is_ours(
    town: Town, state: State | None, page: str, reason: str
) -> None:
    town.standings = {HOST: standing(state)} if state else {}
    for accept in ("text/html", "application/json"):
        answer = town.visit(Accept=accept, Sec_Purpose="prefetch")
        assert answer.headers["x-previews-page"] == page
        assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.json()["reason"] == reason


def test_search_engines_are_told_in_the_page_as_well(town: Town) -> None:
    robots = [each for tag, each in Page(town.visit()).elements if tag == "meta"]
    assert {"name": "robots", "content": "noindex"} in robots


def test_whoever_comes_too_late_is_told_since_when(town: Town) -> None:
    went = datetime(2026, 11, 2, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    town.standings[HOST] = replace(standing(State.EXPIRED, message=""), since=went)
    assert "Since 2026-11-02 12:30 UTC." in Page(town.visit()).text
    told = town.visit(Accept="application/json").json()
    assert told == {
        "reason": "Expired",
        "message": "Its time was over. A push to its pull request brings it back.",
        "since": "2026-11-02T12:30:00Z",
    }


def test_under_a_host_that_no_preview_ever_had_nothing_is_found(town: Town) -> None:
    answer = town.visit(host=f"pr-43.{ZONE}")

    assert answer.status_code == 404
    assert "no preview" in Page(answer).text
    assert "pr-43" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "text/plain"])
def test_who_does_not_ask_for_html_gets_json(town: Town, accept: str) -> None:
    answer = town.visit(Accept=accept, User_Agent="curl/8.5.0")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "reason": "Waking",
        "message": "Nobody looked at it for an hour.",
    }
    assert town.woken == [KEY]


def test_a_store_that_is_out_of_order_is_no_answer_about_the_preview(town: Town) -> None:
    town.problem = TransientError("StoreUnavailable", "/var/lib/previews: disk full")

    answer = town.visit()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "disk" not in answer.text
    assert Page(answer).refresh == "10"


def test_head_gets_the_headers_alone(town: Town) -> None:
    answer = town.visit(method="HEAD")

    assert (answer.status_code, answer.content) == (503, b"")
    assert answer.headers["content-length"] == str(len(town.visit().content))
    assert town.woken == [KEY, KEY]


# What strangers wrote


def test_the_words_of_strangers_stay_words(town: Town) -> None:
    """Of the message and of every part of the request."""
    town.standings[HOST] = standing(State.ASLEEP, message=HOSTILE, pull_request_url="")

    answer = town.visit(
        "/<script>path?<script>query",
        User_Agent=f"{FIREFOX} <script>",
        Referer="http://<script>/",
        Cookie="<script>=1",
    )

    assert {tag for tag, _ in Page(answer).elements} == {
        *("html", "head", "meta", "title", "style", "body", "main", "p", "h1"),
    }
    assert HOSTILE.replace("\ud83d", "?") in Page(answer).text
    assert "path" not in answer.text
    assert "query" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "data:text/html,x",
        "ftp://x/",
        "//evil.example",
        "https:",
        "https://[",
        "",
        "x",
    ],
)
def test_what_is_no_web_address_is_no_link(town: Town, url: str) -> None:
    town.standings[HOST] = standing(State.CLOSED, pull_request_url=url)

    assert Page(town.visit()).first("a") == {}


def test_an_address_cannot_leave_its_quotes(town: Town) -> None:
    url = 'https://forge.example/"><script>alert(1)</script>'
    town.standings[HOST] = standing(State.CLOSED, pull_request_url=url)

    page = Page(town.visit())

    assert page.first("a")["href"] == url
    assert page.first("script") == {}


def test_the_page_may_load_and_run_nothing(town: Town) -> None:
    answer = town.visit()

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"src=|url\(|@import|<script| style=| on[a-z]+=", answer.text)
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"

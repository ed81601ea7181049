"""Gitea's adapter against a server that says false things: none of them is ever taken for an answer."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from previews.adapters.forges.answers import LABEL_LENGTH_MAX, LABELS_MAX
from previews.adapters.forges.gitea_connection import BODY_BYTES_MAX
from previews.domain.preview import HeadSha
from previews.domain.record import CommitStatus, StatusState
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.gitea_server import (
    FALSE_TOTALS,
    NO_ANSWERS,
    PULLS,
    SHOP,
    TOKEN,
    Serve,
    gitea_with_token_in,
    lists,
    pull_request,
    says,
)
from tests.integration.scripted_http import Asked, Reply, Script

LIVE = CommitStatus("preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example/")


@pytest.fixture
def at(tmp_path: Path) -> Serve:
    return gitea_with_token_in(tmp_path)


FALSE_LISTS: dict[str, Script] = {
    **NO_ANSWERS,
    **FALSE_TOTALS,
    "fewer than the total": lists(([pull_request(1)], "2"), ([], "2")),
    "more than the total": lists(([pull_request(1), pull_request(2)], "1")),
    "a total that changes": lists(([pull_request(1)], "2"), ([pull_request(2)], "3")),
    "one of them twice": lists(([pull_request(1)], "2"), ([pull_request(1)], "2")),
    "a pull request without labels": lists(
        ([{k: v for k, v in pull_request(1).items() if k != "labels"}], "1")
    ),
    "labels that are no list": lists(([pull_request(1, labels=7)], "1")),
    "a label without a name": lists(([pull_request(1, labels=[{"id": 1}])], "1")),
    "a pull request without a head": lists(([pull_request(1, head=None)], "1")),
    "a moment that is none": lists(([pull_request(1, updated_at="yesterday")], "1")),
    "a moment without a zone": lists(([pull_request(1, updated_at="2026-11-23T04:37:42")], "1")),
}


@pytest.mark.parametrize("script", FALSE_LISTS.values(), ids=FALSE_LISTS.keys())
def test_a_false_list_is_an_error_and_no_list(at: Serve, script: Script) -> None:
    with at(script) as (forge, _), pytest.raises(TransientError) as caught:
        forge.list_open_pull_requests(SHOP)

    assert TOKEN not in caught.value.message


def test_a_true_list_of_several_pages_is_whole(at: Serve) -> None:
    pages = lists(([pull_request(2)], "2"), ([pull_request(1)], "2"))

    with at(pages) as (forge, server):
        assert [each.number for each in forge.list_open_pull_requests(SHOP)] == [2, 1]

        pages_asked = [asked for asked in server.asked if asked.path == PULLS]
        assert [asked.query["page"] for asked in pages_asked] == ["1", "2"]
        assert {asked.query["state"] for asked in pages_asked} == {"open"}
        assert {asked.headers["authorization"] for asked in server.asked} == {f"token {TOKEN}"}


def test_what_kind_of_pull_request_it_is_comes_with_it(at: Serve) -> None:
    with at(says(200, pull_request(1, draft=True))) as (forge, _):
        found = forge.fetch_pull_request(SHOP, 1)

    assert found is not None
    assert (found.is_draft, found.author_is_bot, found.repository_id) == (True, False, 1)
    assert found.updated_at == datetime(2026, 11, 23, 4, 37, 42, tzinfo=UTC)


@pytest.mark.parametrize("label", ["feature", ""])
def test_one_that_has_no_branch_is_a_strangers_as_a_forks_is(at: Serve, label: str) -> None:
    document = pull_request(1)
    document["head"] = {**document["head"], "label": label}

    with at(says(200, document)) as (forge, _):
        found = forge.fetch_pull_request(SHOP, 1)

    assert found is not None
    assert found.from_fork is (not label)


def test_what_gitea_cannot_do_is_said_by_its_absence(at: Serve) -> None:
    with at(says(500, {})) as (forge, _):
        assert forge.checks is None
        assert forge.deployments is None
        assert forge.redeliveries is None


def test_labels_are_kept_sorted_and_within_bounds(at: Serve) -> None:
    def labelled(names: list[str]) -> Script:
        labels = [{"id": each, "name": name} for each, name in enumerate(names)]
        return says(200, pull_request(1, labels=labels))

    def labels_of(script: Script) -> tuple[str, ...]:
        with at(script) as (forge, _):
            found = forge.fetch_pull_request(SHOP, 1)
        assert found is not None
        return tuple(found.labels)

    assert labels_of(labelled(["b", "a", "b", "\ud83d"])) == ("?", "a", "b")
    many = [f"{number:04}" for number in range(LABELS_MAX + 5)]
    assert labels_of(labelled(many[::-1])) == tuple(many[:LABELS_MAX])
    assert labels_of(labelled(["x" * (LABEL_LENGTH_MAX + 1)])) == ("x" * LABEL_LENGTH_MAX,)
    assert labels_of(says(200, pull_request(1, labels=None))) == ()


@pytest.mark.parametrize("script", FALSE_LISTS.values(), ids=FALSE_LISTS.keys())
def test_a_false_answer_about_one_pull_request_is_never_its_absence(
    at: Serve, script: Script
) -> None:
    with at(script) as (forge, _), pytest.raises(TransientError):
        forge.fetch_pull_request(SHOP, 1)


def test_absence_counts_only_where_the_repository_is_in_sight(at: Serve) -> None:
    def script(asked: Asked, reply: Reply) -> None:
        if asked.path.endswith("/pulls/1"):
            reply.json(404, {"message": "not found"})
        else:
            reply.json(200, {"full_name": SHOP})

    with at(script) as (forge, server):
        assert forge.fetch_pull_request(SHOP, 1) is None
        assert [asked.path for asked in server.asked] == [f"{PULLS}/1", f"/api/v1/repos/{SHOP}"]


def test_a_body_without_an_end_is_not_read_to_the_end(at: Serve) -> None:
    def script(asked: Asked, reply: Reply) -> None:
        del asked
        reply.begin()
        for _ in range(2 * BODY_BYTES_MAX // 2**20):
            reply.chunk(b" " * 2**20)
        reply.end()

    with at(script) as (forge, _), pytest.raises(TransientError, match="bytes"):
        forge.fetch_pull_request(SHOP, 1)


def test_a_redirect_to_another_host_is_not_followed(at: Serve) -> None:
    with at(says(200, pull_request(1))) as (_, elsewhere):
        location = f"{elsewhere.url}{PULLS}/1"
        with (
            at(says(307, {"message": "moved"}, Location=location)) as (forge, _),
            pytest.raises(TransientError, match="redirect"),
        ):
            forge.fetch_pull_request(SHOP, 1)
        assert elsewhere.asked == []


def test_redirects_in_a_circle_end(at: Serve) -> None:
    with (
        at(says(301, {"message": "moved"}, Location=f"{PULLS}/1")) as (forge, _),
        pytest.raises(TransientError, match="redirects"),
    ):
        forge.fetch_pull_request(SHOP, 1)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(429, {"Retry_After": "12"}, 12.0), (429, {}, 60.0), (403, {"Retry_After": "3"}, 3.0)],
)
def test_a_limit_in_front_of_gitea_is_passed_on(
    at: Serve, status: int, headers: dict[str, str], wait: float
) -> None:
    def script(_: Asked, reply: Reply) -> None:
        reply.send(status, b"slow down", Content_Type="text/plain", **headers)

    with at(script) as (forge, _), pytest.raises(TransientError) as caught:
        forge.check()

    assert caught.value.reason == "ForgeRateLimited"
    assert caught.value.retry_after_seconds == wait


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, TransientError, "ForgeCredentials"),
        (403, StalledError, "ForgeRefused"),
        (404, StalledError, "ForgeRefused"),
        (422, StalledError, "ForgeRefused"),
        (500, TransientError, "ForgeUnreachable"),
    ],
)
def test_a_refused_write_says_what_to_do_about_it(
    at: Serve, status: int, kind: type[PreviewsError], reason: str
) -> None:
    with (
        at(says(status, {"message": "no\nbecause"})) as (forge, _),
        pytest.raises(kind, match="no because") as caught,
    ):
        forge.set_commit_status(SHOP, HeadSha("0123456789" * 4), LIVE)

    assert caught.value.reason == reason

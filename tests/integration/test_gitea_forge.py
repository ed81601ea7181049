"""Gitea's adapter against a server that says false things: none of them is ever taken for an answer."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.forges.answers import LABEL_LENGTH_MAX, LABELS_MAX
from previews.adapters.forges.gitea import BODY_BYTES_MAX, GiteaForge
from previews.domain.preview import HeadSha
from previews.domain.record import CommitStatus, StatusState
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

SHOP = "acme/shop"
PULLS = f"/api/v1/repos/{SHOP}/pulls"
COMMENTS = f"/api/v1/repos/{SHOP}/issues/1/comments"
TOKEN = "0123456789abcdef"
MARKER = "<!-- previews:acme -->"
LIVE = CommitStatus("preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example/")
OWN_ID = 7


def pull_request(number: int, **changes: object) -> dict[str, Any]:
    """What the adapter reads of Gitea's answer."""
    repository = {"id": 1, "full_name": SHOP}
    return {
        "id": 1000 + number,
        "number": number,
        "state": "open",
        "title": "A change",
        "user": {"id": 2, "login": "octo-dev"},
        "html_url": f"https://gitea.example/{SHOP}/pulls/{number}",
        "labels": [],
        "base": {"ref": "main", "repo": repository},
        "head": {"ref": "feature", "sha": "0123456789" * 4, "repo": repository},
        **changes,
    }


def comment(comment_id: int, body: str, *, author: int) -> dict[str, Any]:
    return {"id": comment_id, "body": body, "user": {"id": author, "login": "somebody"}}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def at(token_file: Path) -> Callable[[Script], Any]:
    @contextmanager
    def at(script: Script) -> Iterator[tuple[GiteaForge, ScriptedServer]]:
        with (
            ScriptedServer(script) as server,
            closing(
                GiteaForge(api_url=f"{server.url}/", token_file=token_file, timeout_seconds=1)
            ) as forge,
        ):
            yield forge, server

    return at


Serve = Callable[[Script], Any]


def lists(*pages: tuple[list[dict[str, Any]], str]) -> Script:
    """Answers page by page: the items, and how many there are in all."""

    def script(asked: Asked, reply: Reply) -> None:
        items, total = pages[int(asked.query.get("page", "1")) - 1]
        reply.json(200, items, X_Total_Count=total)

    return script


def says(status: int, content: object, **headers: str) -> Script:
    return lambda _, reply: reply.json(status, content, **headers)


FALSE_LISTS: dict[str, Script] = {
    "no total": says(200, []),
    "a total that is no number": lists(([], "many")),
    "fewer than the total": lists(([pull_request(1)], "2"), ([], "2")),
    "nothing of a total": lists(([], "3")),
    "more than the total": lists(([pull_request(1), pull_request(2)], "1")),
    "a total that changes": lists(([pull_request(1)], "2"), ([pull_request(2)], "3")),
    "one of them twice": lists(([pull_request(1)], "2"), ([pull_request(1)], "2")),
    "an object": says(200, {"data": []}, X_Total_Count="0"),
    "null": says(200, None, X_Total_Count="0"),
    "HTML": lambda _, reply: reply.send(200, b"<html>", Content_Type="text/html"),
    "no content type": lambda _, reply: reply.send(200, b"[]", X_Total_Count="0"),
    "no content": lambda _, reply: reply.send(204, Content_Type="application/json"),
    "broken JSON": lambda _, reply: reply.send(
        200, b"[{", Content_Type="application/json", X_Total_Count="1"
    ),
    "cut short": lambda _, reply: reply.raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total-Count: 0\r\n"
        b"Content-Length: 9\r\n\r\n[]"
    ),
    "nothing": lambda _, reply: reply.break_off(),
    "silence": lambda _, reply: reply.hang(),
    "no HTTP": lambda _, reply: reply.raw(b"\x00\x01\x02\r\n\r\n"),
    "server error": says(500, {"message": "database is locked"}),
    "bad gateway": lambda _, reply: reply.send(502, b"<html>", Content_Type="text/html"),
    "not found": says(404, {"message": "not found"}),
    "forbidden": says(403, {"message": "token does not have at least one of required scope(s)"}),
    "a pull request without labels": lists(
        ([{k: v for k, v in pull_request(1).items() if k != "labels"}], "1")
    ),
    "labels that are no list": lists(([pull_request(1, labels=7)], "1")),
    "a label without a name": lists(([pull_request(1, labels=[{"id": 1}])], "1")),
    "a pull request without a head": lists(([pull_request(1, head=None)], "1")),
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

        assert [asked.query["page"] for asked in server.asked] == ["1", "2"]
        assert {asked.query["state"] for asked in server.asked} == {"open"}
        assert {asked.headers["authorization"] for asked in server.asked} == {f"token {TOKEN}"}


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


def test_our_comment_is_updated_in_place_and_only_when_it_differs(at: Serve) -> None:
    held = [
        comment(1, f"{MARKER}\nforged", author=2),
        comment(2, f"{MARKER}\nLive", author=OWN_ID),
    ]

    def script(asked: Asked, reply: Reply) -> None:
        if asked.path == "/api/v1/user":
            reply.json(200, {"id": OWN_ID, "login": "previews-bot"})
        elif asked.method == "GET":
            reply.json(200, held, X_Total_Count=str(len(held)))
        else:
            reply.json(200, held[1])

    with at(script) as (forge, server):
        forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER}\r\nLive\n")
        assert [(asked.method, asked.path) for asked in server.asked] == [
            ("GET", COMMENTS),
            ("GET", "/api/v1/user"),
        ]
        forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER}\nGone")
        assert [(asked.method, asked.path) for asked in server.asked[2:]] == [
            ("GET", COMMENTS),
            ("PATCH", f"/api/v1/repos/{SHOP}/issues/comments/2"),
        ]

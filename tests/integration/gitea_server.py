"""A Gitea that says what a test's script wants, and its adapter."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from previews.adapters.forges.gitea import GiteaForge
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

SHOP = "acme/shop"
API = "/api/v1"
PULLS = f"{API}/repos/{SHOP}/pulls"
COMMENTS = f"{API}/repos/{SHOP}/issues/1/comments"
TOKEN = "0123456789abcdef"
OWN_ID = 7
THEN = "2026-11-23T04:37:42Z"

Object: TypeAlias = dict[str, Any]
Serve: TypeAlias = Callable[[Script], AbstractContextManager[tuple[GiteaForge, ScriptedServer]]]


def gitea_with_token_in(folder: Path) -> Serve:
    token_file = folder / "token"
    token_file.write_text(TOKEN)

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


def pull_request(number: int, **changes: object) -> Object:
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
        "draft": False,
        "updated_at": THEN,
        "base": {"ref": "main", "repo": repository},
        "head": {"ref": "feature", "sha": "0123456789" * 4, "repo": repository},
        **changes,
    }


def comment(comment_id: int, said: str, *, author: int, **changes: object) -> Object:
    return {
        "id": comment_id,
        "body": said,
        "user": {"id": author, "login": "somebody"},
        "created_at": THEN,
        "updated_at": THEN,
        **changes,
    }


def lists(*pages: tuple[list[Object], str]) -> Script:
    """Answers page by page: the items, and how many there are in all."""

    def script(asked: Asked, reply: Reply) -> None:
        items, total = pages[int(asked.query.get("page", "1")) - 1]
        reply.json(200, items, X_Total_Count=total)

    return script


def says(status: int, content: object, **headers: str) -> Script:
    return lambda _, reply: reply.json(status, content, **headers)


def routes(**answers: Script) -> Script:
    """An answer for each kind of path, by the word that it ends with; 404 of Gitea's for others."""

    def script(asked: Asked, reply: Reply) -> None:
        answer = answers.get(asked.path.rpartition("/")[2], says(404, {"message": "not found"}))
        answer(asked, reply)

    return script


NO_ANSWERS: dict[str, Script] = {
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
    "a hidden repository": says(404, {"message": "not found"}),
    "forbidden": says(403, {"message": "token does not have at least one of required scope(s)"}),
    "null": says(200, None, X_Total_Count="0"),
}
"""Whatever was asked: none of them is an answer."""

FALSE_TOTALS: dict[str, Script] = {
    "no total": says(200, []),
    "a total that is no number": lists(([], "many")),
    "nothing of a total": lists(([], "3")),
    "an object": says(200, {"data": []}, X_Total_Count="0"),
}
"""Lists of anything that are not proven whole."""

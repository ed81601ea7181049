"""A preview that does not answer itself, the door that answers for it, and visits to it."""

import threading
from html.parser import HTMLParser

from fastapi import APIRouter
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.types import Receive, Scope, Send

from previews.domain.preview import PreviewKey
from previews.errors import TransientError
from previews.web.front import create_web
from previews.web.waiting import Standing, State, WaitingDoor, hosts_of_previews

ZONE = "preview.example"
HOST = f"pr-42.{ZONE}"
KEY = PreviewKey("shop", 42)
PULL_REQUEST = "https://forge.example/acme/shop/pulls/42"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
BROWSER = {"User-Agent": FIREFOX, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = APIRouter()
"""What the manager shows under its own host."""
for path in ("/livez", "/readyz", "/api/v1/previews"):
    OWN.add_api_route(path, lambda: {"live": True})


class Town:
    """A manager with its own routes, one preview, and a door for visitors of the zone."""

    def __init__(self, *, public_host: str | None = None) -> None:
        self.standings = {HOST: standing(State.ASLEEP)}
        self.asked: list[str] = []
        self.woken: list[PreviewKey] = []
        self.delivered = 0
        self.problem: TransientError | None = None
        web = create_web(
            door=self.take_delivery,
            routers=[OWN],
            waiting=WaitingDoor(self.find, self.woken.append),
            is_preview=hosts_of_previews(ZONE, public_host),
        )
        self.client = TestClient(web, base_url="http://manager.example")

    def find(self, host: str) -> Standing | None:
        assert threading.current_thread().name.startswith("waiting"), "strangers hold up the loop"
        self.asked.append(host)
        if self.problem:
            raise self.problem
        return self.standings.get(host)

    async def take_delivery(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.delivered += 1
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body"})

    def visit(
        self, path: str = "/", *, host: str = HOST, method: str = "GET", **headers: str
    ) -> Response:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.request(method, path, headers={**BROWSER, "Host": host, **given})


def standing(
    state: State,
    *,
    message: str = "Nobody looked at it for an hour.",
    pull_request_url: str = PULL_REQUEST,
) -> Standing:
    return Standing(key=KEY, state=state, message=message, pull_request_url=pull_request_url)


class Page(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def first(self, tag: str) -> dict[str, str | None]:
        return next((attributes for name, attributes in self.elements if name == tag), {})

    @property
    def refresh(self) -> str | None:
        metas = [attributes for tag, attributes in self.elements if tag == "meta"]
        return next((m["content"] for m in metas if m.get("http-equiv") == "refresh"), None)

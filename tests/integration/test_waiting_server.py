"""The waiting door behind the real web server: bodies that never end, and visitors by the hundred."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import uvicorn
from fastapi import APIRouter

from previews.domain.preview import PreviewKey
from previews.web.front import create_web
from previews.web.waiting import (
    LOOKUPS_WAITING_MAX,
    THREADS,
    Standing,
    State,
    WaitingDoor,
    hosts_of_previews,
)
from tests.integration.scripted_http import PATIENCE_SECONDS, eventually

ZONE = "preview.example"
HOST = f"pr-42.{ZONE}"
KEY = PreviewKey("shop", 42)
VISITOR = {"Host": HOST, "Accept": "text/html", "User-Agent": "Mozilla/5.0"}


class Manager:
    """Its web server, with one sleeping preview that is looked up only while `open` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.lookups = 0
        self.woken: list[PreviewKey] = []
        own = APIRouter()
        own.add_api_route("/livez", lambda: {"live": True})

        async def no_door(*_: object) -> None:
            raise NotImplementedError

        web = create_web(
            door=no_door,
            routers=[own],
            waiting=WaitingDoor(self.find, self.woken.append),
            is_preview=hosts_of_previews(ZONE, None),
        )
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port: int = self.listener.getsockname()[1]
        self.client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            limits=httpx2.Limits(max_connections=2 * LOOKUPS_WAITING_MAX),
            timeout=PATIENCE_SECONDS,
        )
        config = uvicorn.Config(
            web, loop="uvloop", http="httptools", log_level="warning", access_log=False
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))

    def find(self, _: str) -> Standing:
        self.lookups += 1
        assert self.open.wait(PATIENCE_SECONDS)
        return Standing(key=KEY, state=State.ASLEEP, message="Nobody looked at it.")

    def ask(self, path: str = "/", **headers: str) -> httpx2.Response:
        return self.client.get(path, headers=headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager()
    manager.thread.start()
    eventually(lambda: manager.server.started)
    yield manager
    manager.open.set()
    manager.client.close()
    manager.server.should_exit = True
    manager.thread.join()
    manager.listener.close()


def test_a_body_that_never_ends_is_answered_and_cut_off(manager: Manager) -> None:
    head = (
        f"POST /upload HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Mozilla/5.0\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    with manager.connect() as visitor:
        visitor.sendall(head.encode())
        answer = b""
        while part := visitor.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert manager.woken == [KEY]


def test_a_connection_serves_one_visitor_after_another(manager: Manager) -> None:
    """As an ingress keeps them: whose preview it is, is a question of each request."""
    for _ in range(3):
        assert manager.ask("/livez", **VISITOR).status_code == 503
        assert manager.client.head("/livez", headers=VISITOR).content == b""
        assert manager.ask("/livez").json() == {"live": True}


def test_a_socket_is_neither_opened_nor_a_reason_to_wake(manager: Manager) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    answer = manager.ask(**VISITOR, **upgrade, **{"Sec-WebSocket-Key": "c2hvcA=="})
    assert answer.status_code in {403, 503}
    assert manager.woken == []


def test_visitors_by_the_hundred_keep_nobody_else_waiting(manager: Manager) -> None:
    manager.open.clear()
    crowd = LOOKUPS_WAITING_MAX + 20
    with ThreadPoolExecutor(crowd) as visitors:
        asked = [visitors.submit(manager.ask, **VISITOR) for _ in range(crowd)]
        eventually(lambda: sum(each.done() for each in asked) == crowd - LOOKUPS_WAITING_MAX)
        turned_away = [each.result() for each in asked if each.done()]
        assert {answer.headers["retry-after"] for answer in turned_away} == {"10"}
        assert manager.lookups == THREADS

        # It needs a thread of the server's own.
        assert manager.ask("/livez").json() == {"live": True}
        manager.open.set()
        assert {each.result().status_code for each in asked} == {503}
    assert len(manager.woken) == LOOKUPS_WAITING_MAX

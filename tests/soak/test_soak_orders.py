"""An order is placed until it is taken, by one person, and knows how it stood before."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.soak.lives import Act
from tests.soak.orders import Orders
from tests.world.manager import Manager

Answer = tuple[HTTPStatus, dict[str, Any]]

UNKNOWN: Answer = (HTTPStatus.NOT_FOUND, {"reason": "UnknownPreview"})
NOT_READ: Answer = (HTTPStatus.CONFLICT, {"reason": "NotReadYet"})
AWAY: Answer = (HTTPStatus.SERVICE_UNAVAILABLE, {"reason": "StoreUnavailable"})
FIRST: Answer = (HTTPStatus.OK, {"database": {"incarnation": "first"}})
NO_DATABASE: Answer = (HTTPStatus.OK, {"database": None})
TAKEN: Answer = (HTTPStatus.OK, {})


class Answering(HTTPServer):
    """Says what it is told to, in this order, and notes what it was asked."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def log_message(self, *_: object) -> None:
        """The test says what it expects."""

    def _answer(self, said: Any) -> None:  # noqa: ANN401 - JSON
        self.server.asked.append((f"{self.command} {self.path}", said))
        status, answer = self.server.answers.pop(0)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.end()


@pytest.fixture
def api(manager: Manager) -> Iterator[Answering]:
    with Answering(manager.port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_order_is_placed_by_one_person_until_it_is_taken(
    manager: Manager, api: Answering
) -> None:
    api.answers = [UNKNOWN, FIRST, NOT_READ, AWAY, TAKEN]
    with closing(Orders(manager, "shop")) as orders:
        ordered = orders.place(7, Act.RESET)
    assert (ordered.act, ordered.incarnation) == (Act.RESET, "first")
    shown, order = "GET /api/v1/previews/shop/7", "POST /api/v1/previews/shop/7/reset-database"
    person = {"actor": "person 1"}
    assert api.asked == [(shown, None), (shown, None), *[(order, person)] * 3]


def test_another_order_is_another_persons(manager: Manager, api: Answering) -> None:
    api.answers = [NO_DATABASE, TAKEN, FIRST, TAKEN]
    with closing(Orders(manager, "shop")) as orders:
        first, second = orders.place(7, Act.ROTATE), orders.place(7, Act.ROTATE)
    assert [first.incarnation, second.incarnation] == [None, "first"]
    assert [said for _, said in api.asked if said] == [
        {"actor": "person 1"},
        {"actor": "person 2"},
    ]
    assert first.at < second.at

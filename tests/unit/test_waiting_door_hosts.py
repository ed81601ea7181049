"""Under which hosts a visitor meets the door, and what of a request gets past it."""

import asyncio

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from previews.web.front import create_web
from tests.unit.visits import HOST, OWN, ZONE, Town


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/previews", "/webhooks", "/livez", "/readyz", "/api/openapi.json", "//x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_of_the_manager_is_shown_under_the_host_of_a_preview(
    town: Town, path: str, method: str
) -> None:
    answer = town.visit(path, method=method, Authorization="Bearer token")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert town.delivered == 0


@pytest.mark.parametrize(
    "host",
    [HOST, HOST.upper(), f"{HOST}.", f"{HOST}..", f"{HOST}:8088", f"{HOST}.:443", f" {HOST} "],
)
def test_a_host_is_the_same_however_it_is_spelled(town: Town, host: str) -> None:
    assert town.visit("/livez", host=host).status_code == 503
    assert town.asked == [HOST]


@pytest.mark.parametrize(
    "host", [f"a.b.{ZONE}", f"-.{ZONE}", f"x@{HOST}", f"\xe9.{ZONE}", f"..{ZONE}", f"'.{ZONE}"]
)
def test_whatever_is_below_the_zone_is_no_host_of_the_manager(town: Town, host: str) -> None:
    answer = town.client.get("/livez", headers=[(b"host", host.encode("latin-1"))])

    assert answer.status_code == 404
    assert "live" not in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "manager.example",
        ZONE,
        f"evil{ZONE}",
        f"{HOST}.evil.example",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[",
        "",
    ],
)
def test_other_hosts_are_the_managers(town: Town, host: str) -> None:
    assert town.visit("/livez", host=host).json() == {"live": True}
    assert town.visit("/webhooks", host=host, method="POST").status_code == 202
    assert town.asked == []


def test_the_manager_may_live_in_the_zone_itself() -> None:
    town = Town(public_host=f"Manager.{ZONE}")

    assert town.visit("/livez", host=f"manager.{ZONE}:443").json() == {"live": True}
    assert town.visit("/livez").status_code == 503


def test_without_a_waiting_door_every_host_is_the_managers(town: Town) -> None:
    client = TestClient(create_web(door=town.take_delivery, routers=[OWN]))

    assert client.get("/livez", headers={"Host": HOST}).json() == {"live": True}


def ask(town: Town, *headers: tuple[bytes, bytes], method: str = "GET") -> list[Message]:
    """One request with exactly these headers, whose body is never there to be read."""
    said: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": "/livez", "headers": headers}

    async def run() -> None:
        await town.client.app(scope, receive, send)

    asyncio.run(run())
    return said


def test_two_hosts_in_one_request_are_nobody(town: Town) -> None:
    for hosts in ([HOST, "manager.example"], ["manager.example", HOST], [HOST, HOST]):
        begun, _ = ask(town, *((b"host", host.encode()) for host in hosts))
        assert begun["status"] == 404
    assert (town.asked, town.woken) == ([], [])


def test_a_body_is_not_read_and_does_not_stand_before_the_next_request(town: Town) -> None:
    host = (b"host", HOST.encode())
    for headers in ([(b"content-length", b"99")], [(b"transfer-encoding", b"chunked")]):
        begun, _ = ask(town, host, *headers, method="POST")
        assert (b"connection", b"close") in begun["headers"]
    begun, _ = ask(town, host, (b"content-length", b"0"), method="POST")
    assert b"connection" not in dict(begun["headers"])

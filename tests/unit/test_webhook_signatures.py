"""Who is let in at the door, and what strangers can do to it."""

import asyncio
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from previews.errors import TransientError
from previews.web.webhooks import SECRETS_KEPT, UNREAD_BYTES_MAX
from tests.github.hooks import signed_headers
from tests.unit.knocking import BODY, SECRET, Door, payload, signature


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    "given_signature",
    [
        None,
        "",
        "sha256=",
        signature(BODY),
        f"SHA256={signature(BODY)}",
        f"sha256={signature(BODY).upper()}",
        f"sha256= {signature(BODY)}",
        f"sha256={signature(BODY)}0",
        f"sha256={signature(BODY, 'another')}",
        f"sha256={signature(BODY, '')}",
        f"sha256={signature(json.dumps(json.loads(BODY), indent=1).encode())}",
        f"sha1={hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()}",
        "sha256=" + "\u00e9" * 64,
    ],
)
@pytest.mark.fault(5)
def test_only_the_right_signature_opens_the_door(door: Door, given_signature: str | None) -> None:
    headers = signed_headers("pull_request", BODY, SECRET)
    del headers["X-Hub-Signature-256"]
    raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    if given_signature is not None:
        raw.append((b"X-Hub-Signature-256", given_signature.encode("latin-1")))

    answer = door.client.post("/webhooks", content=BODY, headers=raw)

    assert answer.status_code == 401
    assert answer.json()["verdict"] == "refused"
    assert door.store.writes == 0


def test_the_right_one_does(door: Door) -> None:
    assert door.deliver(BODY).status_code == 202


def test_nothing_is_parsed_before_its_signature_is_right(door: Door) -> None:
    assert door.deliver(b"{broken", secret="another").status_code == 401


@pytest.mark.parametrize("secrets", [[], [b""], [b"", b""]])
def test_without_a_secret_nothing_is_let_in(door: Door, secrets: list[bytes]) -> None:
    door.secrets = secrets

    assert door.deliver(payload(), secret="").status_code == 401
    assert door.deliver(payload()).status_code == 401


@pytest.mark.fault(9)
def test_a_secret_is_replaced_while_both_are_valid(door: Door) -> None:
    door.deliver(payload())
    door.secrets = [b"new", SECRET.encode()]
    door.clock.move(SECRETS_KEPT)

    assert door.deliver(payload(), secret="new").status_code == 202
    assert door.deliver(payload()).status_code == 202

    door.secrets = [b"new"]
    door.clock.move(SECRETS_KEPT)
    assert door.deliver(payload(), secret="new").status_code == 202
    assert door.deliver(payload()).status_code == 401


def test_a_clock_that_is_set_back_does_not_keep_an_old_secret_alive(door: Door) -> None:
    door.deliver(payload())
    door.secrets = [b"new"]
    door.clock.move(timedelta(days=-1))

    assert door.deliver(payload()).status_code == 401


class Sender:
    """Sends the beginning of a body, and its end when it is told to."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning = beginning
        self.sent = asyncio.Event()
        self.finish = asyncio.Event()
        self.statuses: list[int] = []

    async def receive(self) -> Message:
        if not self.sent.is_set():
            self.sent.set()
            return {"type": "http.request", "body": self.beginning, "more_body": True}
        await self.finish.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


def test_bodies_that_are_under_way_do_not_fill_the_memory(door: Door) -> None:
    half = b"x" * (UNREAD_BYTES_MAX // 2)
    first, second, third, fourth = (Sender(body) for body in (half, half, b"x", half))
    webhooks = door.door(body_limit_bytes=UNREAD_BYTES_MAX)
    scope = {"type": "http", "method": "POST", "path": "/webhooks", "headers": []}

    async def crowd() -> None:
        async with asyncio.TaskGroup() as tasks:
            for sender in (first, second):
                tasks.create_task(webhooks(scope, sender.receive, sender.send))
                await sender.sent.wait()
            await webhooks(scope, third.receive, third.send)
            first.finish.set()
            second.finish.set()
        fourth.finish.set()
        await webhooks(scope, fourth.receive, fourth.send)

    asyncio.run(crowd())

    assert [s.statuses for s in (first, second, third, fourth)] == [[401], [401], [503], [401]]


def test_neither_secret_nor_signature_nor_body_is_logged(door: Door) -> None:
    door.problem = TransientError("StoreUnavailable", "disk full")
    body = payload(canary="canary")
    with capture_logs() as logs:
        door.deliver(body)
        door.deliver(body, secret="another")
        door.deliver(b"{canary")

    assert [entry["event"] for entry in logs] == [
        "delivery not stored",
        "delivery refused",
        "delivery refused",
    ]
    for hidden in (SECRET, signature(body), "canary"):
        assert hidden not in str(logs)

"""Signed deliveries by the hundred, as a forge sends them: each on its own connection, with a real payload."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass

import uvloop

from tests.github.hooks import example

OK, REDIRECT = 200, 300
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Signed:
    """One delivery, ready to be sent."""

    guid: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """One delivery after its answer."""

    guid: str
    status: int
    sent_at: float
    answered_at: float

    @property
    def seconds(self) -> float:
        return self.answered_at - self.sent_at

    @property
    def is_accepted(self) -> bool:
        return OK <= self.status < REDIRECT


def sign(repository: str, numbers: Iterable[int], secret: bytes) -> list[Signed]:
    """An `opened` of each pull request: GitHub's own example, about other pull requests."""
    payload = json.loads(example("pull_request.opened"))
    signed = []
    for number in numbers:
        payload["number"] = payload["pull_request"]["number"] = number
        payload["repository"]["full_name"] = repository
        body = json.dumps(payload).encode()
        guid = str(uuid.uuid4())
        headers = {
            "host": "127.0.0.1",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-github-event": "pull_request",
            "x-github-delivery": guid,
            "x-hub-signature-256": f"sha256={hmac.digest(secret, body, hashlib.sha256).hex()}",
            "connection": "close",
        }
        lines = ["POST /webhooks HTTP/1.1", *(f"{name}: {it}" for name, it in headers.items())]
        signed.append(Signed(guid, "\r\n".join([*lines, "", ""]).encode() + body))
    return signed


def send_at_once(port: int, deliveries: Sequence[Signed]) -> list[Answered]:
    """All of them together, and return when each is answered."""
    return _run(_send(port, deliveries, seconds_between=0.0))


def send_at_rate(port: int, deliveries: Sequence[Signed], *, per_second: float) -> list[Answered]:
    """One after another by the clock, whether those before were answered or not."""
    return _run(_send(port, deliveries, seconds_between=1 / per_second))


def _run(sending: Coroutine[None, None, list[Answered]]) -> list[Answered]:
    """On the cheapest event loop there is: the sender shares the processors with what it measures."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(sending)


async def _send(
    port: int, deliveries: Sequence[Signed], *, seconds_between: float
) -> list[Answered]:
    began = time.monotonic()
    sending = []
    for index, delivery in enumerate(deliveries):
        await asyncio.sleep(max(0.0, began + index * seconds_between - time.monotonic()))
        sending.append(asyncio.create_task(_send_one(port, delivery)))
    return await asyncio.gather(*sending)


async def _send_one(port: int, delivery: Signed) -> Answered:
    sent_at = time.monotonic()
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(delivery.request)
        status_line = await reader.readline()
        answered_at = time.monotonic()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    return Answered(delivery.guid, int(status_line.split()[1]), sent_at, answered_at)

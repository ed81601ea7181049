"""What comes before every answer: how many requests are under way, and who is answered all the same."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from previews.web.api import health_router
from previews.web.front import LIVE_PATH, REQUESTS_MAX, WEBHOOK_PATH, create_web


async def hang(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """A door that never answers."""
    await asyncio.Event().wait()


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def scope_of(path: str) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
    }


async def statuses_when_full() -> dict[str, int]:
    web = create_web(door=hang, routers=[health_router(dict)])
    statuses: dict[str, int] = {}

    async def ask(path: str) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[path] = message["status"]

        await web(scope_of(path), nothing, send)

    async with asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(ask(WEBHOOK_PATH)) for _ in range(REQUESTS_MAX)]
        await asyncio.sleep(0)
        await ask("/readyz")
        await ask(LIVE_PATH)
        for each in hanging:
            each.cancel()
    await ask("/docs")
    return statuses


def test_a_crowd_never_keeps_the_process_from_saying_that_it_lives() -> None:
    assert asyncio.run(statuses_when_full()) == {"/readyz": 503, LIVE_PATH: 200, "/docs": 404}

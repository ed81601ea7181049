"""The door, the inbox and the store in a process of their own: `python -m tests.integration.door_process`.

Its arguments are the database, and how many seconds it waits for SQLite's lock and for a body. It says its port, then
"storing" whenever a transaction is about to begin.
"""

import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn

from previews.adapters.store import SQLStore
from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery
from previews.reconcile.effects import Effects, LoggingWitness
from previews.reconcile.inbox import Inbox
from previews.web.api import health_router
from previews.web.front import create_web
from previews.web.webhooks import WebhookDoor

SECRET = "the secret of this hook"
REPOSITORY = "Codertocat/Hello-World"
BODY_LIMIT_BYTES = 200_000


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class TalkativeStore(SQLStore):
    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        print("storing", flush=True)
        return super().accept(deliveries)


def keys_of(repository: str, number: int) -> list[PreviewKey]:
    return [PreviewKey("hello", number)] if repository == REPOSITORY else []


def serve(database: Path, busy_timeout_seconds: float, body_timeout_seconds: float) -> None:
    clock = SystemClock()
    store = TalkativeStore(
        database,
        clock=clock,
        delivery_retention=timedelta(days=7),
        busy_timeout_seconds=busy_timeout_seconds,
    )
    inbox = Inbox(store, Effects(LoggingWitness()), lambda _: None)
    inbox.start()
    door = WebhookDoor(
        secrets=lambda: [SECRET.encode()],
        body_limit_bytes=BODY_LIMIT_BYTES,
        body_timeout_seconds=body_timeout_seconds,
        keys_of=keys_of,
        submit=inbox.submit,
        clock=clock,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        create_web(door=door, routers=[health_router(dict)]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
    inbox.stop()
    store.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))

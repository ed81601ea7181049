"""A door to knock at, with a store behind it."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from concurrent.futures import Future

from fastapi.testclient import TestClient
from httpx2 import Response

from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery
from previews.web.front import create_web
from previews.web.webhooks import News, WebhookDoor
from tests.fakes.clock import ManualClock
from tests.fakes.store import InMemoryStore
from tests.github.hooks import signed_headers

SECRET = "the secret of this hook"
REPOSITORY = "Codertocat/Hello-World"
KEYS = (PreviewKey("hello", 2), PreviewKey("world", 2))
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


class Door:
    """A door, what it stored, and a hand that knocks."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.clock = ManualClock()
        self.secrets = [SECRET.encode()]
        self.problem: Exception | None = None
        self.answered: list[str] = []
        self.heard: list[News] = []
        self.client = TestClient(create_web(door=self.door(body_limit_bytes=2**21), routers=[]))

    def door(self, *, body_limit_bytes: int) -> WebhookDoor:
        return WebhookDoor(
            secrets=lambda: list(self.secrets),
            body_limit_bytes=body_limit_bytes,
            body_timeout_seconds=60,
            keys_of=self.keys_of,
            submit=self.submit,
            clock=self.clock,
            answered=self.answered.append,
            hear=lambda news, _: self.hear(news),
        )

    def hear(self, news: News) -> None:
        """What is behind the door."""
        self.heard.append(news)

    def keys_of(self, repository: str, number: int) -> Sequence[PreviewKey]:
        if repository.lower() != REPOSITORY.lower():
            return []
        return [PreviewKey(key.project, number) for key in KEYS]

    def submit(self, delivery: Delivery, keys: Sequence[PreviewKey]) -> Future[bool]:
        stored: Future[bool] = Future()
        if self.problem is not None:
            stored.set_exception(self.problem)
        else:
            stored.set_result(self.store.accept([(delivery, keys)])[0])
        return stored

    def post(self, body: bytes, headers: dict[str, str]) -> Response:
        return self.client.post("/webhooks", content=body, headers=headers)

    def deliver(
        self,
        body: bytes,
        *,
        event: str = "pull_request",
        secret: str = SECRET,
        changes: dict[str, str | None] | None = None,
    ) -> Response:
        headers = signed_headers(event, body, secret, guid=GUID) | (changes or {})
        return self.post(body, {name: text for name, text in headers.items() if text is not None})

    @property
    def marked(self) -> list[PreviewKey]:
        return [record.key for record in self.store.list_records()]

    def only_delivery(self) -> Delivery:
        (delivery,) = self.store.deliveries.values()
        return delivery


def payload(**changes: object) -> bytes:
    whole = {"repository": {"full_name": REPOSITORY}, "pull_request": {"number": 2}, "number": 2}
    return json.dumps(whole | changes).encode()


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


BODY = payload()

"""The application that answers HTTP: the door for deliveries, visitors of previews, and the routers."""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from previews.web.refusals import answer_refusals
from previews.web.waiting import hosts_of
from previews.web.webhooks import RETRY_AFTER_SECONDS

WEBHOOK_PATH = "/webhooks"
LIVE_PATH = "/livez"
REQUESTS_MAX = 2000
"""Under way at once. Beyond it every other is answered 503 at once, and the forge or a resync makes up for it."""

_CLOSE = (b"connection", b"close")
_SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
]


def _no_host(_: str) -> bool:
    return False


def create_web(
    *,
    door: ASGIApp,
    routers: list[APIRouter],
    waiting: ASGIApp | None = None,
    is_preview: Callable[[str], bool] = _no_host,
) -> FastAPI:
    """The application: the door for deliveries, and what the routers answer. Described at /api/openapi.json.

    `waiting` answers instead of all of it under a host that `is_preview` says to be a preview's.
    """
    web = FastAPI(title="previews", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    for router in routers:
        web.include_router(router)
    web.add_middleware(_Front, door=door, waiting=waiting, is_preview=is_preview)

    answer_refusals(web)
    return web


class _Exchange:
    """One request and its answer, which gets the security headers.

    An answer that is given before the whole body came ends the connection: else its sender could hold it for ever.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_read = not any(
            name == b"transfer-encoding" or (name == b"content-length" and text != b"0")
            for name, text in scope["headers"]
        )

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            ours = [*_SECURITY_HEADERS, *([] if self._is_read else [_CLOSE])]
            missing = [header for header in ours if header[0] not in own]
            message = {**message, "headers": [*message["headers"], *missing]}
        await self._send(message)


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [_CLOSE, (b"content-length", b"0"), (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Front:
    """Leads visitors of previews and deliveries past the router, and bounds how many requests are under way."""

    def __init__(
        self,
        app: ASGIApp,
        door: ASGIApp,
        waiting: ASGIApp | None,
        is_preview: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._door = door
        self._waiting = waiting
        self._is_preview = is_preview
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._choose(scope)
        exchange = _Exchange(scope, receive, send)
        # Whoever asks whether the process lives would else end it for what others do to it.
        is_probe = app is self._app and scope["path"] == LIVE_PATH
        if self._under_way >= REQUESTS_MAX and not is_probe:
            app = _refuse
        self._under_way += 1
        try:
            await app(scope, exchange.receive, exchange.send)
        finally:
            self._under_way -= 1

    def _choose(self, scope: Scope) -> ASGIApp:
        # The host is looked at first: a preview may have a path of any name.
        if self._waiting is not None and any(map(self._is_preview, hosts_of(scope))):
            return self._waiting
        return self._door if scope["path"] == WEBHOOK_PATH else self._app

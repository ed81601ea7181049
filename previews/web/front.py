"""The application that answers HTTP: the door for deliveries, visitors of previews, and the routers."""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from previews.web.refusals import answer_refusals
from previews.web.waiting import hosts_of

WEBHOOK_PATH = "/webhooks"

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


class _Front:
    """Leads visitors of previews and deliveries past the router, and puts security headers on every answer."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                missing = [header for header in _SECURITY_HEADERS if header[0] not in own]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        await self._choose(scope)(scope, receive, send_with_headers)

    def _choose(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http":
            return self._app
        # The host is looked at first: a preview may have a path of any name.
        if self._waiting is not None and any(map(self._is_preview, hosts_of(scope))):
            return self._waiting
        return self._door if scope["path"] == WEBHOOK_PATH else self._app

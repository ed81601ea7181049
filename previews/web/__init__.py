"""What the manager shows over HTTP. It is handed functions and knows neither adapters nor the reconcile loop."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from previews.errors import PreviewsError

WEBHOOK_PATH = "/webhooks"

_SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
]


def create_web(*, door: ASGIApp, routers: list[APIRouter]) -> FastAPI:
    """The application: the door for deliveries, and what the routers answer. Described at /api/openapi.json."""
    web = FastAPI(title="previews", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    for router in routers:
        web.include_router(router)
    web.add_middleware(_Front, door=door)

    @web.exception_handler(PreviewsError)
    async def say_unavailable(_: Request, error: PreviewsError) -> JSONResponse:
        return JSONResponse({"reason": error.reason, "message": error.message}, status_code=503)

    return web


class _Front:
    """Leads deliveries past the router, and puts security headers on every answer that does not set its own."""

    def __init__(self, app: ASGIApp, door: ASGIApp) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                missing = [header for header in _SECURITY_HEADERS if header[0] not in own]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        to_door = scope["type"] == "http" and scope["path"] == WEBHOOK_PATH
        await (self._door if to_door else self._app)(scope, receive, send_with_headers)

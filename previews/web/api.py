"""What the manager says of itself and its previews: /livez, /readyz and, for whoever has the token, /api/v1."""

import hmac
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from previews.domain.preview import Phase, PreviewKey
from previews.web.actions import Desk, Number, add_actions
from previews.web.refusals import OF_ONE_PREVIEW, OF_THE_API
from previews.web.views import (
    PAGE_LENGTH_MAX,
    History,
    PreviewPage,
    Previews,
    PreviewView,
    Text,
)

BODY_LIMIT_BYTES = 64 * 1024


class Readiness(BaseModel):
    """Whether every outside system answers; `missing` says of each that does not what is wrong."""

    ready: bool
    missing: dict[str, Text]
    notes: dict[str, Text] = {}
    """What is wrong as well, and keeps the manager from nothing. Left out when there is none."""


def health_router(
    readiness: Callable[[], Mapping[str, str | None]],
    notes: Callable[[], Mapping[str, str]] = dict,
) -> APIRouter:
    """What everybody may ask. `readiness` names every outside system, with what is wrong with it or None."""
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> dict[str, bool]:
        """Say that the process answers. Needs no thread, so that it does when every one of them is busy."""
        return {"live": True}

    @router.get(
        "/readyz", responses={503: {"model": Readiness}}, response_model_exclude_defaults=True
    )
    def readyz(response: Response) -> Readiness:
        """Say whether the manager can do its work, and if not, what is missing."""
        missing = {name: wrong for name, wrong in readiness().items() if wrong is not None}
        response.status_code = 503 if missing else 200
        return Readiness(ready=not missing, missing=missing, notes=dict(notes()))

    return router


def api_router(
    *,
    readiness: Callable[[], Mapping[str, str | None]],
    token: Callable[[], str] | None,
    previews: Previews,
    desk: Desk,
    notes: Callable[[], Mapping[str, str]] = dict,
    more: Sequence[APIRouter] = (),
) -> APIRouter:
    """All routes but the door's.

    Without a `token` there is no /api/v1: titles and names of a private repository are not for everybody, and nobody
    removes a preview without it.
    """
    router = health_router(readiness, notes)
    if token is not None:
        guarded = guarded_router(token, prefix="/api/v1")
        _add_previews(guarded, previews)
        add_actions(guarded, previews, desk)
        for each in more:
            guarded.include_router(each)
        router.include_router(guarded)
    return router


def guarded_router(
    *tokens: Callable[[], str],
    prefix: str = "",
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    in_query: bool = False,
) -> APIRouter:
    """Routes for whoever has one of the tokens, and for nobody else.

    `in_query` takes it from the address as well, `?token=`, for senders that can set no header.
    """
    return APIRouter(
        prefix=prefix,
        route_class=_guarded_by(tokens, in_query=in_query),
        # The route class lets nobody in; the dependency tells whoever reads the description.
        dependencies=[Depends(HTTPBearer(auto_error=False))],
        responses=OF_THE_API,
        max_body_size=body_limit_bytes,
    )


def _guarded_by(tokens: Sequence[Callable[[], str]], *, in_query: bool) -> type[APIRoute]:
    """Routes that answer 401 before anything of the request is read but its headers."""

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def check_first(request: Request) -> Response:
                offered = request.headers.get("authorization", "")
                if in_query and not offered:
                    offered = f"Bearer {request.query_params.get('token', '')}"
                _require([token() for token in tokens], offered)
                return await handle(request)

            return check_first

    return Guarded


def _require(expected: Sequence[str], authorization: str) -> None:
    scheme, _, offered = authorization.partition(" ")
    same = [hmac.compare_digest(offered.encode(), each.encode()) for each in expected if each]
    if not any(same) or scheme.lower() != "bearer":
        raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})


def _add_previews(router: APIRouter, previews: Previews) -> None:
    @router.get("/previews")
    def list_previews(
        project: str | None = None,
        phase: Phase | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LENGTH_MAX)] = 100,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    ) -> PreviewPage:
        """List previews in order of project and number."""
        after = _parse_cursor(cursor)
        found = [
            record
            for record in previews.records()
            if (after is None or record.key > after)
            and (project is None or record.key.project == project)
            and (phase is None or record.phase is phase)
        ]
        page = found[:limit]
        return PreviewPage(
            previews=previews.show_all(page),
            next_cursor=str(page[-1].key) if len(found) > limit else None,
        )

    @router.get("/previews/{project}/{number}", responses=OF_ONE_PREVIEW)
    def show_preview(project: str, number: Number) -> PreviewView:
        """Show one preview."""
        return previews.show(PreviewKey(project, number))

    @router.get("/previews/{project}/{number}/history", responses=OF_ONE_PREVIEW)
    def show_history(project: str, number: Number) -> History:
        """Show what was asked for, by whom, and what happened."""
        return previews.history(PreviewKey(project, number))


def _parse_cursor(cursor: str | None) -> PreviewKey | None:
    if cursor is None:
        return None
    try:
        return PreviewKey.parse(cursor)
    except ValueError:
        raise HTTPException(422, "cursor is not the next_cursor of a page") from None

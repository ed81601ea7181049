"""What the manager says of itself and its previews: /livez, /readyz and, for whoever has the token, /api/v1."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, BeforeValidator

from previews.domain.naming import NUMBER_DIGITS_MAX, Names
from previews.domain.preview import Condition, Phase, PreviewKey
from previews.domain.record import PreviewRecord

PAGE_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True)
class Address:
    """Where a preview is."""

    names: Names
    url: str


def _well_formed(value: str | None) -> str | None:
    """Text of strangers may hold half of a UTF-16 pair, which no JSON document may."""
    return None if value is None else value.encode(errors="replace").decode()


Text = Annotated[str, BeforeValidator(_well_formed)]


class ConditionView(BaseModel):
    """One fact about a preview, and since when it has been so."""

    type: Text
    status: bool
    reason: Text
    message: Text
    since: AwareDatetime

    @classmethod
    def of(cls, condition: Condition) -> Self:
        return cls(
            type=condition.type,
            status=condition.status,
            reason=condition.reason,
            message=condition.message,
            since=condition.since,
        )


class PreviewView(BaseModel):
    """One preview. What is null is not known yet, or belongs to a project that is no longer configured."""

    project: str
    number: int
    repository: Text | None
    title: Text | None
    author: Text | None
    head_sha: str | None
    pull_request_url: Text | None
    phase: Phase
    reason: Text
    message: Text
    conditions: list[ConditionView]
    url: str | None
    host: str | None
    application: str | None
    namespace: str | None

    @classmethod
    def of(cls, record: PreviewRecord, address: Address | None) -> Self:
        pull_request = record.pull_request
        return cls(
            project=record.key.project,
            number=record.key.number,
            repository=pull_request and pull_request.repository,
            title=pull_request and pull_request.title,
            author=pull_request and pull_request.author,
            head_sha=pull_request and pull_request.head_sha,
            pull_request_url=pull_request and pull_request.url,
            phase=record.phase,
            reason=record.reason,
            message=record.message,
            conditions=[ConditionView.of(condition) for condition in record.conditions],
            url=address and address.url,
            host=address and address.names.host,
            application=address and address.names.application,
            namespace=address and address.names.namespace,
        )


class PreviewPage(BaseModel):
    """A page of previews, ordered by project and number."""

    previews: list[PreviewView]
    next_cursor: str | None
    """Where the next page begins; null on the last one."""


class Readiness(BaseModel):
    """Whether every outside system answers; `missing` says of each that does not what is wrong."""

    ready: bool
    missing: dict[str, Text]


def api_router(
    *,
    readiness: Callable[[], Mapping[str, str | None]],
    token: Callable[[], str] | None,
    previews: Callable[[], Sequence[PreviewRecord]],
    load: Callable[[PreviewKey], PreviewRecord | None],
    describe: Callable[[PreviewRecord], Address | None],
) -> APIRouter:
    """The routes. `readiness` names every outside system, with what is wrong with it or None.

    Without a `token` there is no /api/v1: titles and names of a private repository are not for everybody.
    """
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> dict[str, bool]:
        """Say that the process answers. Needs no thread, so that it does when every one of them is busy."""
        return {"live": True}

    @router.get("/readyz", responses={503: {"model": Readiness}})
    def readyz(response: Response) -> Readiness:
        """Say whether the manager can do its work, and if not, what is missing."""
        missing = {name: wrong for name, wrong in readiness().items() if wrong is not None}
        response.status_code = 503 if missing else 200
        return Readiness(ready=not missing, missing=missing)

    if token is not None:
        allowed = Depends(_require(token))
        router.include_router(
            _previews_router(previews, load, describe), prefix="/api/v1", dependencies=[allowed]
        )
    return router


def _require(
    token: Callable[[], str],
) -> Callable[[HTTPAuthorizationCredentials | None], None]:
    bearer = Depends(HTTPBearer(auto_error=False))

    def check(given: Annotated[HTTPAuthorizationCredentials | None, bearer]) -> None:
        expected = token()
        offered = given.credentials if given else ""
        same = hmac.compare_digest(offered.encode(), expected.encode())
        if not expected or not same:
            raise HTTPException(
                401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _previews_router(
    previews: Callable[[], Sequence[PreviewRecord]],
    load: Callable[[PreviewKey], PreviewRecord | None],
    describe: Callable[[PreviewRecord], Address | None],
) -> APIRouter:
    router = APIRouter(
        prefix="/previews", responses={401: {"description": "The token is missing or wrong"}}
    )

    @router.get("")
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
            for record in sorted(previews(), key=lambda record: record.key)
            if (after is None or record.key > after)
            and (project is None or record.key.project == project)
            and (phase is None or record.phase is phase)
        ]
        page = found[:limit]
        return PreviewPage(
            previews=[PreviewView.of(record, describe(record)) for record in page],
            next_cursor=str(page[-1].key) if len(found) > limit else None,
        )

    @router.get("/{project}/{number}", responses={404: {"description": "No such preview"}})
    def show_preview(
        project: str, number: Annotated[int, Path(ge=1, lt=10**NUMBER_DIGITS_MAX)]
    ) -> PreviewView:
        """Show one preview."""
        key = PreviewKey(project, number)
        record = load(key)
        if record is None:
            raise HTTPException(404, f"there is no preview {key}")
        return PreviewView.of(record, describe(record))

    return router


def _parse_cursor(cursor: str | None) -> PreviewKey | None:
    if cursor is None:
        return None
    try:
        return PreviewKey.parse(cursor)
    except ValueError:
        raise HTTPException(422, "cursor is not the next_cursor of a page") from None

"""What a forge's events say of comments, and of the button beside a check: which pull request, and nothing more.

What was written is read from the forge. A comment that is evidently no command, or our own, is no reason to ask.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from previews.domain.commands import is_addressed
from previews.domain.hosts import NUMBER_DIGITS_MAX

OURS = "<!-- previews:"
"""The beginning of everything that a manager writes in a comment."""
RERUN_EVENTS = frozenset({"check_run", "check_suite"})
RERUN_ACTION = "rerequested"
NUMBERS_MAX = 20
LOGIN_LENGTH_MAX = 100
EXTERNAL_ID_LENGTH_MAX = 200
"""Ours are a fraction of it."""

_Number = Annotated[int, Field(strict=True, gt=0, lt=10**NUMBER_DIGITS_MAX)]


class _Named(BaseModel):
    full_name: str


class _Person(BaseModel):
    login: Annotated[str, Field(max_length=LOGIN_LENGTH_MAX)]


class _Issue(BaseModel):
    number: _Number
    pull_request: dict[str, object] | None = None


class _Comment(BaseModel):
    body: str | None = None
    user: _Person | None = None


class _Former(BaseModel):
    text: str | None = Field(None, alias="from")


class _Changes(BaseModel):
    body: _Former | None = None


class CommentPayload(BaseModel):
    """All that is read of an `issue_comment`."""

    action: str = ""
    repository: _Named
    issue: _Issue
    comment: _Comment
    changes: _Changes | None = None
    sender: _Person | None = None


class _Numbered(BaseModel):
    number: _Number


class _Check(BaseModel):
    external_id: Annotated[str, Field(max_length=EXTERNAL_ID_LENGTH_MAX)] | None = None
    pull_requests: list[_Numbered] | None = None


class RerunPayload(BaseModel):
    """All that is read of a `check_run` or `check_suite` that somebody wants to run again."""

    action: str = ""
    repository: _Named | None = None
    check_run: _Check | None = None
    check_suite: _Check | None = None
    sender: _Person | None = None


@dataclass(frozen=True, slots=True)
class CommentNews:
    """Somebody wrote on a pull request, or changed what we wrote."""

    repository: str
    number: int
    is_ours: bool = False
    """Whether it is a comment of ours that another hand changed or took away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunNews:
    """Somebody pressed the button that runs a check again."""

    repository: str
    external_id: str = ""
    """What we called the check; empty: every one of ours on these pull requests."""
    numbers: tuple[int, ...] = ()
    sender: str


def read_comment(payload: CommentPayload) -> CommentNews | None:
    """None if there is nothing to look at."""
    if payload.issue.pull_request is None:
        return None
    news = CommentNews(payload.repository.full_name, payload.issue.number)
    if payload.action == "created":
        return news if is_addressed(payload.comment.body or "") else None
    author, former = payload.comment.user, payload.changes.body if payload.changes else None
    texts = [payload.comment.body or "", (former.text if former else None) or ""]
    was_ours = any(text.startswith(OURS) for text in texts)
    by_author = payload.action == "edited" and author is not None and author == payload.sender
    if was_ours and not by_author:
        return CommentNews(news.repository, news.number, is_ours=True)
    return None


def read_rerun(event: str, payload: RerunPayload) -> RerunNews | None:
    """None unless it asks for checks of ours."""
    check = payload.check_run if event == "check_run" else payload.check_suite
    if payload.action != RERUN_ACTION or check is None:
        return None
    if payload.repository is None or payload.sender is None:
        return None
    external_id = (check.external_id or "") if event == "check_run" else ""
    if event == "check_run" and not external_id.startswith("previews:"):
        return None
    numbers = [each.number for each in check.pull_requests or ()]
    return RerunNews(
        repository=payload.repository.full_name,
        external_id=external_id,
        numbers=tuple(numbers[:NUMBERS_MAX]),
        sender=payload.sender.login,
    )


def keep_rerun(payload: RerunPayload) -> bytes:
    """As much of it as a next process needs."""
    return payload.model_dump_json(exclude_none=True).encode()


def recall_rerun(event: str, body: bytes) -> RerunNews | None:
    """What was kept by `keep_rerun`."""
    try:
        return read_rerun(event, RerunPayload.model_validate_json(body))
    except ValidationError:
        return None

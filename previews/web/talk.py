"""What a forge's events say of comments, and of the button beside a check: which pull request, and nothing more.

What was written is read from the forge. A comment that is evidently no command, or our own, is no reason to ask.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from previews.domain.commands import is_addressed
from previews.domain.hosts import NUMBER_DIGITS_MAX
from previews.domain.preview import HeadSha, parse_head_sha

OURS = "<!-- previews:"
"""The beginning of everything that a manager writes in a comment."""
RERUN_EVENTS = frozenset({"check_run", "check_suite"})
RERUN_ACTION = "rerequested"
NUMBERS_MAX = 20
LOGIN_LENGTH_MAX = 100
EXTERNAL_ID_LENGTH_MAX = 200
"""Ours are a fraction of it."""
COMMIT_ID_LENGTH_MAX = 64

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


class _Suite(BaseModel):
    head_sha: Annotated[str, Field(max_length=COMMIT_ID_LENGTH_MAX)] | None = None
    pull_requests: list[_Numbered] | None = None


class RerunPayload(BaseModel):
    """All that is read of a `check_run` or `check_suite` that somebody wants to run again."""

    action: str = ""
    repository: _Named | None = None
    check_run: _Check | None = None
    check_suite: _Suite | None = None
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
    """What we called the check; empty: every one of ours on these pull requests, or this commit."""
    numbers: tuple[int, ...] = ()
    head_sha: HeadSha | None = None
    """Where no pull request is named: GitHub names none for a commit of a fork."""
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
    if payload.action != RERUN_ACTION or payload.repository is None or payload.sender is None:
        return None
    repository, sender = payload.repository.full_name, payload.sender.login
    if event == "check_run":
        external_id = (payload.check_run and payload.check_run.external_id) or ""
        if not external_id.startswith("previews:"):
            return None
        return RerunNews(repository=repository, external_id=external_id, sender=sender)
    suite = payload.check_suite
    if suite is None:
        return None
    numbers = tuple(each.number for each in suite.pull_requests or ())[:NUMBERS_MAX]
    head_sha = None if numbers else _read_head_sha(suite.head_sha or "")
    return RerunNews(repository=repository, numbers=numbers, head_sha=head_sha, sender=sender)


def _read_head_sha(text: str) -> HeadSha | None:
    try:
        return parse_head_sha(text)
    except ValueError:
        return None


def keep_rerun(payload: RerunPayload) -> bytes:
    """As much of it as a next process needs."""
    return payload.model_dump_json(exclude_none=True).encode()


def recall_rerun(event: str, body: bytes) -> RerunNews | None:
    """What was kept by `keep_rerun`."""
    try:
        return read_rerun(event, RerunPayload.model_validate_json(body))
    except ValidationError:
        return None

"""What the forges' answers mean: GitHub and Gitea share their shapes, so one reading of them serves both adapters.

The rule: an answer that is not exactly what was expected is an error, never an absence, an empty list or a closed pull
request, since previews are removed for those.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import quote

from previews.adapters.one_line import one_line
from previews.adapters.retry_after import retry_after_seconds
from previews.domain.preview import PullRequest, parse_head_sha
from previews.errors import StalledError, TransientError

Json: TypeAlias = Any
"""What a forge sent, of any shape until it has been read."""
Headers: TypeAlias = Mapping[str, str]
"""Names in lower case."""

GHOST = "ghost"
"""Whom the forges show as the author when the account is gone."""
UNSAID_WAIT_SECONDS = 60.0
"""What GitHub wants to be waited where its refusal says no time."""
SUSPENDED_WAIT_SECONDS = 60.0
"""A person has to do something about it first."""
RATE_LIMIT_WINDOW_SECONDS = 3600.0
"""GitHub's limits are by the hour: no reset lies further ahead."""
WORDS_LENGTH_MAX = 300
LABELS_MAX = 100
LABEL_LENGTH_MAX = 200
"""What is kept of a pull request's labels: more than the forges' own pages let people set."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of the forge, as errors name it."""

    verb: str
    path: str

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass(frozen=True, slots=True)
class OwnComment:
    """A comment that we wrote earlier."""

    id: int
    body: str


class AbsentError(TransientError):
    """The forge itself answers that what was asked for is not there, or not for this token."""


class TargetGoneError(StalledError):
    """What something was to be added to is not there, or not for this token."""


class CredentialsError(TransientError):
    """The forge does not accept what it was asked with."""


def read_token(file: Path) -> str:
    """The token, read anew each time, so that a rotated one is used without a restart."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TransientError(
            "ForgeCredentials", f"the forge's token cannot be read from {file}: {_kind(error)}"
        ) from error
    if not _TOKEN.fullmatch(token):
        raise TransientError("ForgeCredentials", f"{file} does not hold one token and nothing else")
    return token


def repository_path(repository: str, *rest: str | int) -> str:
    """The API's path of a repository, or of something in it."""
    return "/".join(["/repos", quote(repository), *map(str, rest)])


def unreachable(asked: Request, error: Exception) -> TransientError:
    """The network, or what stands on it, did not carry the request to the forge and back."""
    return TransientError("ForgeUnreachable", f"{asked} had no answer: {_words(str(error))}")


def read_json(
    asked: Request, status: int, headers: Headers, body: str | bytes, *, wants: type
) -> Json:
    """The document in an answer, if it is proven to be the forge's own and of the wanted kind. Raises if not."""
    if not _is_json(headers):
        _refuse_what_is_no_json(asked, status, headers)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed(asked, "broken JSON") from error
    if status >= HTTPStatus.BAD_REQUEST:
        words = document.get("message") if isinstance(document, dict) else None
        if not isinstance(words, str):
            raise malformed(asked, f"{status} in a form that is not the forge's")
        raise_refusal(asked, status, headers, _words(words))
    if status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        raise malformed(asked, f"status {status}")
    if not isinstance(document, wants):
        raise malformed(asked, f"{type(document).__name__} instead of {wants.__name__}")
    return document


def raise_refusal(asked: Request, status: int, headers: Headers, words: str) -> NoReturn:
    """Raise what the loop should do about a refusal."""
    said = f"{asked} was refused with {status}: {words}"
    wait = wait_seconds(status, headers, words)
    if wait is not None:
        raise TransientError("ForgeRateLimited", said, retry_after_seconds=wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientError("ForgeUnreachable", said, retry_after_seconds=_pause(headers))
    if status == HTTPStatus.UNAUTHORIZED:
        raise CredentialsError("ForgeCredentials", f"{said}; is the token expired or revoked?")
    if status == HTTPStatus.FORBIDDEN and "suspended" in words.lower():
        raise TransientError("ForgeSuspended", said, retry_after_seconds=SUSPENDED_WAIT_SECONDS)
    if status == HTTPStatus.NOT_FOUND and asked.verb == "PATCH":
        raise AbsentError("ForgeAnswer", f"{said}; somebody has just removed it")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE} and asked.verb in {"GET", "DELETE"}:
        raise AbsentError("ForgeForbidden", f"{said}; is it there, and may the token see it?")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise TargetGoneError("ForgeRefused", said)
    if asked.verb != "GET":
        raise StalledError("ForgeRefused", said)
    raise TransientError("ForgeForbidden", f"{said}; has the token the permissions it needs?")


def wait_seconds(status: int, headers: Headers, words: str) -> float | None:
    """How long the forge asks us to wait; None when the refusal is about something else."""
    if status not in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}:
        return None
    if (asked_for := _pause(headers)) is not None:
        return asked_for
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdigit():
        return min(
            max(float(reset) - forge_time(headers).timestamp(), 1.0), RATE_LIMIT_WINDOW_SECONDS
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in words.lower():
        return UNSAID_WAIT_SECONDS
    return None


def malformed(asked: Request, what: str) -> TransientError:
    """The forge answered, but not with what its API promises."""
    return TransientError("ForgeAnswer", f"{asked} was answered with {_words(what)}")


def read_pull_request(asked: Request, document: Json) -> PullRequest:
    """A pull request as the forge gives it. Raises for one that is not whole."""
    try:
        base = document["base"]["repo"]["full_name"]
        head = (document["head"]["repo"] or {}).get("full_name", "")
        if document["state"] not in {"open", "closed"}:
            raise malformed(asked, f"state {document['state']!r}")
        return PullRequest(
            repository=text(base),
            number=whole_number(document["number"]),
            is_open=document["state"] == "open",
            head_sha=parse_head_sha(document["head"]["sha"]),
            head_branch=text(document["head"]["ref"]),
            base_branch=text(document["base"]["ref"]),
            title=text(document["title"]),
            author=text((document["user"] or {}).get("login") or GHOST),
            url=text(document["html_url"]),
            from_fork=text(head).casefold() != base.casefold() or _has_no_branch(document["head"]),
            labels=_labels(document["labels"]),
            # Old servers of Gitea's know no drafts, and none of them says whether a user is a bot.
            is_draft=document.get("draft") is True,
            author_is_bot=(document["user"] or {}).get("type") == "Bot",
            repository_id=whole_number(document["base"]["repo"]["id"]),
            updated_at=read_time(document["updated_at"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete pull request ({error!r})") from error


def _has_no_branch(head: Json) -> bool:
    """Whoever may read a repository of Gitea's may push to `refs/for/...` there, which opens a pull request.

    It has no branch, and is a stranger's as a fork's is, although it says that its head is in the repository itself.
    Its label alone tells: that of a branch, also of one that was deleted, is never empty.
    """
    return bool(head.get("label") == "")


def _labels(labels: Json) -> tuple[str, ...]:
    """The names, sorted, since forges list them in any order."""
    names = {text(label["name"])[:LABEL_LENGTH_MAX] for label in labels or ()}
    return tuple(sorted(names)[:LABELS_MAX])


def read_own_id(asked: Request, document: Json) -> int:
    """The id in an answer about the token's own user."""
    try:
        return whole_number(document["id"])
    except (KeyError, TypeError) as error:
        raise malformed(asked, "a user without an id") from error


def find_own_comment(
    asked: Request, comments: Iterable[Json], *, own_id: int, marker: str
) -> OwnComment | None:
    """The first comment that is ours: it begins with the marker, and its author is the token's user."""
    try:
        for comment in comments:
            author = comment["user"] or {}
            body = text(comment["body"] or "")
            if author.get("id") == own_id and body.startswith(marker):
                return OwnComment(whole_number(comment["id"]), body)
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete comment ({error!r})") from error
    return None


def reads_the_same(body: str, other: str) -> bool:
    """Whether two comments differ at most by the ends of their lines, which a forge may rewrite."""
    return body.rstrip().splitlines() == other.rstrip().splitlines()


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _refuse_what_is_no_json(asked: Request, status: int, headers: Headers) -> NoReturn:
    """An answer of a proxy, a login page or a maintenance page: not the forge's, whatever its status says."""
    kind = headers.get("content-type", "no content type")
    said = f"{asked} was answered with {status} and {_words(kind)} instead of JSON"
    wait = wait_seconds(status, headers, "")
    if wait is not None:
        raise TransientError("ForgeRateLimited", said, retry_after_seconds=wait)
    raise TransientError("ForgeUnreachable", said, retry_after_seconds=_pause(headers))


def _pause(headers: Headers) -> float | None:
    return retry_after_seconds(headers.get("retry-after"), forge_time(headers))


def forge_time(headers: Headers) -> datetime:
    """The moment of the answer by the forge's own clock, which ours may differ from."""
    try:
        moment = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, OverflowError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def text(value: object) -> str:
    """What a forge sent, if it is text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    # JSON can hold half a character, which nothing behind this could write down.
    return value.encode(errors="replace").decode()


def whole_number(value: object) -> int:
    """What a forge sent, if it is a whole number. Raises TypeError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number expected, not {type(value).__name__}")
    return value


def read_time(value: object) -> datetime:
    """A moment as forges write it. Raises TypeError or ValueError."""
    moment = datetime.fromisoformat(text(value))
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {value!r}")
    return moment.astimezone(UTC)


def _words(said: str) -> str:
    return one_line(said, WORDS_LENGTH_MAX)


def _kind(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else type(error).__name__

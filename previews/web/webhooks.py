"""The door: POST /webhooks of GitHub, Gitea and Forgejo. Cap the body, verify it, store it, answer.

Nothing in a body is looked at before its signature is right, and in a right one only what it is about:
the forge is asked for the rest. What cannot be understood is kept aside and answered 202, since sending it again
would not help. It is plain ASGI, since a burst of deliveries would spend half of its time in a framework.
"""

import asyncio
import hashlib
import hmac
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, TypeAlias, TypeVar

import structlog
from pydantic import BaseModel, Field, ValidationError
from starlette.types import Receive, Scope, Send

from previews.domain.hosts import NUMBER_DIGITS_MAX
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery, Verdict
from previews.errors import PreviewsError, TransientError
from previews.web.builds import (
    BUILD_EVENTS,
    BuildNews,
    BuildPayload,
    is_of_a_manager,
    read_news,
)
from previews.web.pushes import PushNews, PushPayload, read_push
from previews.web.talk import (
    RERUN_EVENTS,
    CommentNews,
    CommentPayload,
    RerunNews,
    RerunPayload,
    keep_rerun,
    read_comment,
    read_rerun,
)

RETRY_AFTER_SECONDS = 10.0
"""Said with a 503 when nobody knows better."""
SECRETS_KEPT = timedelta(seconds=1)
"""How long the secrets are used before they are asked for again."""
UNREAD_BYTES_MAX = 64 * 1024 * 1024
"""Of all bodies that are under way at once. Whoever sends them is not known yet, and they are all in memory."""
BODIES_MAX = 200
"""Under way at once. Beyond it the one that has taken longest gives way: forges send theirs at once."""
EVENT_LENGTH_MAX = 64
REPOSITORY_SHOWN_MAX = 140

_NAMES_OF_GUIDS = "usable X-GitHub-Delivery or X-Gitea-Delivery"
_GUID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")

_log = structlog.get_logger("previews.webhooks")

Payload = TypeVar("Payload", bound=BaseModel)
News: TypeAlias = BuildNews | CommentNews | PushNews | RerunNews
KeysOf = Callable[[str, int], Sequence[PreviewKey]]
Submit = Callable[[Delivery, Sequence[PreviewKey]], Future[bool]]

_Number = Annotated[int, Field(strict=True, gt=0, lt=10**NUMBER_DIGITS_MAX)]


class _Repository(BaseModel):
    full_name: str


class _PullRequest(BaseModel):
    number: _Number


class _Payload(BaseModel):
    """All that is read of a delivery. What the event does to the pull request does not matter: it is read anew."""

    repository: _Repository | None = None
    pull_request: _PullRequest | None = None


class _RefusedError(Exception):
    """A delivery that is not taken in. `close` ends a connection whose body was not read to the end."""

    def __init__(self, status: int, reason: str, *, close: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.close = close


@dataclass(frozen=True, slots=True)
class _Judgement:
    verdict: Verdict
    reason: str = ""
    keys: Sequence[PreviewKey] = ()
    news: News | None = None
    kept: bytes = b""
    """Of the body, until what it asks for is done: what neither the forge nor anybody else could be asked again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    verdict: str
    reason: str
    guid: str
    headers: Sequence[tuple[bytes, bytes]] = ()

    async def send(self, send: Send) -> None:
        text = {"verdict": self.verdict, "reason": self.reason, "guid": self.guid}
        body = json.dumps(text).encode()
        length = (b"content-length", str(len(body)).encode())
        headers = [(b"content-type", b"application/json"), length, *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class WebhookDoor:
    """The ASGI application of one path.

    `secrets` is asked again and again, so that one can be replaced while both are valid. `keys_of` names the previews
    at a pull request, whatever the case of the repository's letters, and none for a repository that is not
    configured. A delivery is answered 2xx when the future of `submit` is done, and 503 when that failed. `answered` is
    told what is said of each, and `hear` what is no reason to read a pull request again: what CI does, and that
    somebody wrote a comment, pushed to a branch or pressed a button.
    """

    def __init__(
        self,
        *,
        secrets: Callable[[], Sequence[bytes]],
        body_limit_bytes: int,
        body_timeout_seconds: float,
        keys_of: KeysOf,
        submit: Submit,
        clock: Clock,
        answered: Callable[[str], None] = lambda _: None,
        hear: Callable[[News, Delivery], object] = lambda *_: None,
    ) -> None:
        self._ask_for_secrets = secrets
        self._body_limit_bytes = body_limit_bytes
        self._body_timeout_seconds = body_timeout_seconds
        self._keys_of = keys_of
        self._submit = submit
        self._clock = clock
        self._answered = answered
        self._hear = hear
        self._unread_bytes = 0
        self._under_way: dict[asyncio.Timeout, None] = {}
        """The time that each body has, of those that are being read; the oldest first."""
        self._secrets: Sequence[bytes] = ()
        self._secrets_read_at = datetime.min.replace(tzinfo=UTC)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            answer = _Answer(405, "refused", "POST a delivery", "", [(b"allow", b"POST")])
        else:
            headers = {
                name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
            }
            answer = await self._take_in(headers, receive)
        self._answered(answer.verdict)
        await answer.send(send)

    async def _take_in(self, headers: Mapping[str, str], receive: Receive) -> _Answer:
        guid = _guid_of(headers)
        try:
            body = await self._read_body(headers, receive)
            now = self._clock.now()
            _verify(body, headers, self._secrets_at(now))
            event = _event_of(headers)
            judgement = _judge(guid, event, body, self._keys_of)
            delivery = Delivery(
                guid=guid or str(uuid.uuid4()),
                received_at=now,
                event=event,
                verdict=judgement.verdict,
                reason=judgement.reason,
                body=body if judgement.verdict is Verdict.KEPT_ASIDE else judgement.kept,
            )
            is_new = await asyncio.wrap_future(self._submit(delivery, judgement.keys))
        except _RefusedError as refusal:
            _log.warning(
                "delivery refused", status=refusal.status, reason=refusal.reason, guid=guid
            )
            said = [(b"connection", b"close")] if refusal.close else []
            if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
                said.append(_retry_after())
            return _Answer(refusal.status, "refused", refusal.reason, guid, said)
        except PreviewsError as error:
            _log.warning("delivery not stored", reason=error.reason, error=error.message, guid=guid)
            return _Answer(503, "not stored", error.reason, guid, [_retry_after(error)])
        # What is kept may be there although nobody was told so: whoever hears of it knows whether it is done.
        if judgement.news is not None and judgement.kept:
            # Whose button it is may have to be looked up, for which no other delivery has to wait.
            await asyncio.to_thread(self._hear, judgement.news, delivery)
        elif judgement.news is not None and is_new:
            self._hear(judgement.news, delivery)
        if not is_new:
            return _Answer(202, "duplicate", "it was stored before", guid)
        return _Answer(202, delivery.verdict, delivery.reason, delivery.guid)

    async def _read_body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        limit = self._body_limit_bytes
        too_large = _RefusedError(413, f"the body is over {limit} bytes", close=True)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large
        body = bytearray()
        time_left = asyncio.timeout(self._body_timeout_seconds)
        try:
            async with time_left:
                self._make_room_for(time_left)
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _RefusedError(400, "the sender went away", close=True)
                    chunk = message.get("body", b"")
                    more = message.get("more_body", False)
                    body += chunk
                    self._unread_bytes += len(chunk)
                    if len(body) > limit:
                        raise too_large
                    if self._unread_bytes > max(limit, UNREAD_BYTES_MAX):
                        raise _too_many()
        except TimeoutError:
            if time_left not in self._under_way:
                raise _too_many() from None
            reason = f"the body took longer than {self._body_timeout_seconds:g} s"
            raise _RefusedError(408, reason, close=True) from None
        finally:
            self._unread_bytes -= len(body)
            self._under_way.pop(time_left, None)
        return bytes(body)

    def _make_room_for(self, time_left: asyncio.Timeout) -> None:
        """A crowd of slow senders keeps out nobody but itself."""
        if len(self._under_way) >= BODIES_MAX:
            oldest = next(iter(self._under_way))
            del self._under_way[oldest]
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())
        self._under_way[time_left] = None

    def _secrets_at(self, now: datetime) -> Sequence[bytes]:
        if not timedelta(0) <= now - self._secrets_read_at < SECRETS_KEPT:
            self._secrets = self._ask_for_secrets()
            self._secrets_read_at = now
        return self._secrets


def _verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes]) -> None:
    """Raises unless the body is signed with one of the secrets. An empty one, which anybody knows, never counts."""
    signature = _SIGNATURE.fullmatch(headers.get("x-hub-signature-256", ""))
    if signature is None or not any(
        hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex(), signature[1])
        for secret in secrets
        if secret
    ):
        raise _RefusedError(401, "X-Hub-Signature-256 is missing or is not of this body")


def _guid_of(headers: Mapping[str, str]) -> str:
    """The sender's name for the delivery; empty when there is none that can be used."""
    guid = headers.get("x-github-delivery") or headers.get("x-gitea-delivery", "")
    return guid if _GUID.fullmatch(guid) else ""


def _event_of(headers: Mapping[str, str]) -> str:
    event = headers.get("x-github-event") or headers.get("x-gitea-event", "")
    return event[:EVENT_LENGTH_MAX]


def _parse(body: bytes, kind: type[Payload]) -> Payload | None:
    """What is read of a body; None when it is JSON of another shape. Raises for what is not JSON."""
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        # Here the standard library decides what is JSON: it takes lone surrogates and deep nesting, as forges may send.
        try:
            document = json.loads(body)
        except RecursionError:
            return None
        except ValueError:
            raise _RefusedError(
                400, "the body is not JSON; is the webhook's content type application/json?"
            ) from None
    try:
        return kind.model_validate(document)
    except ValidationError:
        return None


def _judge(guid: str, event: str, body: bytes, keys_of: KeysOf) -> _Judgement:
    if event in BUILD_EVENTS and guid:
        return _judge_build(event, body, keys_of)
    payload = _parse(body, _Payload)
    if not guid or not event:
        lacking = "X-GitHub-Event or X-Gitea-Event" if guid else _NAMES_OF_GUIDS
        return _Judgement(Verdict.KEPT_ASIDE, f"no {lacking}")
    if event == "pull_request":
        return _judge_pull_request(payload, keys_of)
    if event == "issue_comment":
        return _judge_comment(_parse(body, CommentPayload), keys_of)
    if event == "push":
        return _judge_push(_parse(body, PushPayload), keys_of)
    said = "pong" if event == "ping" else f"no preview depends on a {event!r} event"
    return _Judgement(Verdict.IGNORED, said)


def _judge_build(event: str, body: bytes, keys_of: KeysOf) -> _Judgement:
    button = _parse(body, RerunPayload) if event in RERUN_EVENTS else None
    rerun = read_rerun(event, button) if button else None
    if button is not None and rerun is not None:
        judgement = _judge_news(rerun, keys_of)
        is_ours = judgement.verdict is Verdict.ACCEPTED
        return replace(judgement, kept=keep_rerun(button)) if is_ours else judgement
    payload = _parse(body, BuildPayload)
    news = read_news(event, payload) if payload else None
    if payload is None or news is None:
        return _Judgement(Verdict.KEPT_ASIDE, "it names no pull request, commit or package")
    if is_of_a_manager(event, payload):
        return _Judgement(Verdict.IGNORED, "a manager's own status")
    if news.repository and not keys_of(news.repository, 1):
        return _unconfigured(news.repository)
    return _Judgement(Verdict.ACCEPTED, news=news)


def _judge_comment(payload: CommentPayload | None, keys_of: KeysOf) -> _Judgement:
    if payload is None:
        return _Judgement(Verdict.KEPT_ASIDE, "it names no issue, comment or repository")
    news = read_comment(payload)
    if news is None:
        return _Judgement(Verdict.IGNORED, "no command, and no comment of ours that changed")
    return _judge_news(news, keys_of)


def _judge_push(payload: PushPayload | None, keys_of: KeysOf) -> _Judgement:
    if payload is None:
        return _Judgement(Verdict.KEPT_ASIDE, "it names no ref or repository")
    news = read_push(payload)
    if news is None:
        return _Judgement(Verdict.IGNORED, "no branch was pushed to")
    return _judge_news(news, keys_of)


def _judge_news(news: CommentNews | PushNews | RerunNews, keys_of: KeysOf) -> _Judgement:
    if not keys_of(news.repository, 1):
        return _unconfigured(news.repository)
    return _Judgement(Verdict.ACCEPTED, news=news)


def _judge_pull_request(payload: _Payload | None, keys_of: KeysOf) -> _Judgement:
    if payload is None or payload.repository is None or payload.pull_request is None:
        return _Judgement(
            Verdict.KEPT_ASIDE,
            "no repository.full_name and pull_request.number, or no sensible ones",
        )
    repository = payload.repository.full_name
    keys = keys_of(repository, payload.pull_request.number)
    return _Judgement(Verdict.ACCEPTED, keys=keys) if keys else _unconfigured(repository)


def _unconfigured(repository: str) -> _Judgement:
    shown = repr(repository[:REPOSITORY_SHOWN_MAX])
    return _Judgement(Verdict.IGNORED, f"the repository {shown} is not configured")


def _too_many() -> _RefusedError:
    return _RefusedError(503, "too many bodies are under way", close=True)


def _retry_after(error: PreviewsError | None = None) -> tuple[bytes, bytes]:
    asked = error.retry_after_seconds if isinstance(error, TransientError) else None
    return b"retry-after", str(math.ceil(asked or RETRY_AFTER_SECONDS)).encode()

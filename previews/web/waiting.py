"""What answers under the host of a preview that does not answer itself: a page that waits for it, and wakes it.

Whatever its path, such a request never reaches the manager's own routes. Nothing of it is repeated in the answer, which
is always an error (503, or 404 where nothing will come), so that nobody takes it for the application's. Nothing is
proxied: the page reloads itself until the application is what answers.
"""

import asyncio
import base64
import hashlib
import html
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import structlog
from starlette.types import Receive, Scope, Send

from previews.domain.preview import PreviewKey
from previews.domain.probing import PAGE_HEADER
from previews.errors import PreviewsError
from previews.web.robots import wakes

THREADS = 4
"""For looking previews up: strangers cannot take the threads of the API and of /readyz."""
LOOKUPS_WAITING_MAX = 200
"""Beyond it a visitor is told to come back without anything being looked up."""

_log = structlog.get_logger("previews.waiting")

_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "waiting.css").read_text(encoding="utf-8")
_PAGE = Template((_FOLDER / "waiting.html").read_text(encoding="utf-8"))
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class State(StrEnum):
    """How it stands with a preview that does not answer itself."""

    ASLEEP = "asleep"
    WAKING = "waking"
    STARTING = "starting"
    """It was never awake before."""
    QUEUED = "queued"
    """Too many others are awake; its turn will come."""
    CLOSED = "closed"
    """So was its pull request. For this and the next three nothing will come of waiting."""
    EXPIRED = "expired"
    REMOVED = "removed"
    """By hand, or to make room."""
    BLOCKED = "blocked"
    """It was never to be."""
    PROBLEM = "problem"


class Page(StrEnum):
    """What our header says: which kind of page this is, and none of the application's."""

    WAITING = "waiting"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a visitor of a preview's host is told."""

    key: PreviewKey
    state: State
    message: str
    """A sentence for everybody on the Internet; empty where the page's own says it all."""
    since: datetime | None = None
    """When it went, if it did."""
    pull_request_url: str = ""


@dataclass(frozen=True, slots=True)
class _Words:
    page: Page
    status: int
    reason: str
    """For programs: CamelCase, from the closed list of docs/ingress.md."""
    heading: str
    sentence: str
    seconds: int | None = None
    """After which it is worth asking again."""


_COMES = "This page shows it as soon as it answers."
_COMES_BACK = "A push to its pull request brings it back."


def _waiting(reason: str, heading: str, sentence: str, seconds: int | None) -> _Words:
    return _Words(Page.WAITING, 503, reason, heading, sentence, seconds)


def _ended(reason: str, heading: str, sentence: str) -> _Words:
    return _Words(Page.ENDED, 404, reason, heading, sentence)


_WORDS: Mapping[State, _Words] = {
    State.ASLEEP: _waiting(
        "Asleep", "Asleep", "It wakes up when somebody visits it with a browser.", 2
    ),
    State.WAKING: _waiting("Waking", "Waking up", _COMES, 2),
    State.STARTING: _waiting("Starting", "Starting", _COMES, 2),
    State.QUEUED: _waiting("Queued", "Waiting for its turn", _COMES, 10),
    State.PROBLEM: _waiting("Degraded", "It does not run", "The pull request says more.", None),
    State.CLOSED: _ended("Closed", "Closed", "Its pull request is closed, and so it is gone."),
    State.EXPIRED: _ended("Expired", "Expired", f"Its time was over. {_COMES_BACK}"),
    State.REMOVED: _ended("Removed", "Removed", f"It was taken away. {_COMES_BACK}"),
    State.BLOCKED: _ended("Blocked", "No preview", "Its pull request has none."),
}
_UNKNOWN = _Words(
    Page.UNKNOWN, 404, "Unknown", "No preview", "There is no preview under this address."
)
_CANNOT_SAY = _Words(
    Page.UNKNOWN,
    503,
    "CannotSay",
    "Not now",
    "The manager of previews cannot say how it stands.",
    10,
)


def hosts_of_previews(zone: str, public_host: str | None) -> Callable[[str], bool]:
    """Whether a host, as `host_of` gives it, is under the previews' zone and is not the manager's own."""
    below, own = f".{zone.lower()}", (public_host or "").lower()
    return lambda host: host.endswith(below) and host != own


def hosts_of(scope: Scope) -> Sequence[str]:
    """Every host that a request names, folded and without port and final dot. There should be one."""
    return [
        value.decode("latin-1").strip().lower().partition(":")[0].rstrip(".")
        for name, value in scope["headers"]
        if name == b"host"
    ]


class WaitingDoor:
    """The ASGI application of all hosts that no awake preview claims.

    `find` says how it stands with the preview of a host; None if there never was one. `wake` is called at most once for
    each request, from the same thread, and must return at once.
    """

    def __init__(
        self,
        find: Callable[[str], Standing | None],
        wake: Callable[[PreviewKey], None],
    ) -> None:
        self._find = find
        self._wake = wake
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="waiting")
        self._lookups = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 no body is read
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        standing, words = await self._look(hosts_of(scope), scope["method"], headers)
        await _send(send, scope["method"], headers, standing, words)

    async def _look(
        self, hosts: Sequence[str], method: str, headers: Mapping[str, str]
    ) -> tuple[Standing | None, _Words]:
        if len(hosts) != 1:
            return None, _UNKNOWN
        if self._lookups >= LOOKUPS_WAITING_MAX:
            return None, _CANNOT_SAY
        loop = asyncio.get_running_loop()
        self._lookups += 1
        try:
            return await loop.run_in_executor(
                self._threads, self._look_up, hosts[0], wakes(method, headers)
            )
        except PreviewsError as error:
            _log.warning("visitor not served", reason=error.reason, error=error.message)
            return None, _CANNOT_SAY
        finally:
            self._lookups -= 1

    def _look_up(self, host: str, somebody_waits: bool) -> tuple[Standing | None, _Words]:  # noqa: FBT001 executors take it by position
        standing = self._find(host)
        if standing is None:
            return None, _UNKNOWN
        if standing.state is State.ASLEEP and somebody_waits:
            self._wake(standing.key)
            return standing, _WORDS[State.WAKING]
        return standing, _WORDS[standing.state]


async def _send(
    send: Send,
    method: str,
    asked: Mapping[str, str],
    standing: Standing | None,
    words: _Words,
) -> None:
    if "text/html" in asked.get("accept", "").lower():
        kind, body = b"text/html; charset=utf-8", _page(standing, words)
    else:
        kind, body = b"application/json", _document(standing, words)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", _POLICY.encode()),
        (b"vary", b"accept"),
        (b"x-robots-tag", b"noindex"),
        (PAGE_HEADER.lower().encode(), words.page.encode()),
    ]
    if words.seconds is not None:
        headers.append((b"retry-after", str(words.seconds).encode()))
    if asked.get("content-length", "0") != "0" or "transfer-encoding" in asked:
        # A body that nobody reads would stand before the next request.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": words.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _document(standing: Standing | None, words: _Words) -> bytes:
    message = standing.message if standing else ""
    said = {"reason": words.reason, "message": message or words.sentence}
    if standing and standing.since:
        said["since"] = f"{standing.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps(said).encode()


def _page(standing: Standing | None, words: _Words) -> bytes:
    """Whatever is not this module's own goes through `html.escape`."""
    preview = "Preview"
    sentences = []
    if standing is not None:
        preview = f"{standing.key.project} #{standing.key.number}"
        if standing.message:
            sentences.append(html.escape(standing.message))
    sentences.append(words.sentence)
    if standing is not None and standing.since is not None:
        sentences.append(f"Since {standing.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
    if standing is not None and _is_web_address(standing.pull_request_url):
        address = html.escape(standing.pull_request_url)
        sentences.append(f'<a href="{address}" rel="noreferrer">The pull request</a>')
    refresh = f'<meta http-equiv="refresh" content="{words.seconds}">\n' if words.seconds else ""
    page = _PAGE.substitute(
        refresh=refresh,
        heading=words.heading,
        preview=html.escape(preview),
        style=_STYLE,
        sentences="\n".join(f"<p>{sentence}</p>" for sentence in sentences),
    )
    return page.encode(errors="replace")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)

"""One GET, for what stands at the head of its answer: a status and headers. For `previews doctor`.

It follows no redirect, sends no credential, and does not raise: no answer is a result.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

from previews.adapters.one_line import one_line

LOOPBACK = "127.0.0.1"
HEADER_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The head of an answer."""

    status: int = 0
    """0: there was none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; values of one line."""
    at: datetime
    """By our clock, when it came."""
    problem: str = ""
    """Why there was none, in a few words."""

    @property
    def clock_ahead_seconds(self) -> float | None:
        """How far the server's clock is before ours; None if it does not tell its time."""
        return clock_ahead_seconds(self.headers.get("date", ""), self.at)


def look(
    url: str,
    *,
    timeout_seconds: float = 5.0,
    proves_itself: bool = True,
    address: str | None = None,
) -> Seen:
    """Ask once, at `address` if the host of the URL has none of its own.

    Without `proves_itself` any certificate will do, since somebody else looks at that.
    """
    context = ssl.create_default_context()
    if not proves_itself:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    host = urlsplit(url).hostname or ""
    headers = {"User-Agent": "previews-doctor", "Accept-Encoding": "identity"}
    extensions: dict[str, str] = {}
    try:
        target = httpx2.URL(url)
        # RFC 6761: these names are loopback, and no resolver is to be asked for them.
        if address is None and (host == "localhost" or host.endswith(".localhost")):
            address = LOOPBACK
        if address is not None:
            headers["Host"] = target.netloc.decode()
            extensions["sni_hostname"] = host
            target = target.copy_with(host=address)
        with (
            httpx2.Client(verify=context, trust_env=False, timeout=timeout_seconds) as client,
            client.stream("GET", target, headers=headers, extensions=extensions) as response,
        ):
            seen = {n.lower(): one_line(v, HEADER_LENGTH_MAX) for n, v in response.headers.items()}
            return Seen(status=response.status_code, headers=seen, at=datetime.now(UTC))
    except httpx2.TimeoutException:
        return Seen(at=datetime.now(UTC), problem="timed out")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        why = one_line(str(error), HEADER_LENGTH_MAX) or type(error).__name__
        return Seen(at=datetime.now(UTC), problem=why)


def clock_ahead_seconds(date: str, at: datetime) -> float | None:
    """How far a clock whose Date header says `date` is before ours, to a second; None if it says nothing."""
    try:
        said = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    said = said if said.tzinfo else said.replace(tzinfo=UTC)
    return (said - at).total_seconds()

"""The part of the configuration that is about how a preview's URL is asked."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from previews.domain.probing import ProbePolicy
from previews.setting_types import Section, Span

TIMEOUT_MAX = timedelta(seconds=10)
"""A request that the ingress counts later than this would be taken for a visit."""
_OURS = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
_STATUSES = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")


def _status_range(value: object) -> str:
    # YAML reads a single status as a number.
    text = str(value)
    found = _STATUSES.fullmatch(text)
    if not found or int(found[1]) > int(found[2] or found[1]):
        raise ValueError(f'{text!r} must be a status or a range such as "200-399"')
    return text


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValueError(f"{value!r} is no name of a header")
    return value


def _no_header_of_ours(value: str) -> str:
    if value.lower() in _OURS:
        raise ValueError(f"the probe itself says {value}")
    return value


def _short(value: timedelta) -> timedelta:
    if value > TIMEOUT_MAX:
        raise ValueError(f"must be at most {TIMEOUT_MAX.total_seconds():g}s")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
SentHeaderName = Annotated[HeaderName, AfterValidator(_no_header_of_ours)]
HeaderValue = Annotated[str, Field(pattern=r"^[ -~]{0,1000}$")]
StatusRange = Annotated[str, BeforeValidator(_status_range)]
InARow = Annotated[int, Field(ge=1, le=20)]


class ProbeSettings(Section):
    """What is asked at a preview's public URL, and what it has to answer."""

    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    statuses: Annotated[list[StatusRange], Field(min_length=1)] = ["200-399"]
    """Of the answer at the end of its redirects."""
    headers: dict[SentHeaderName, HeaderValue] = {}
    """Sent along. No secrets: whoever wrote the application reads them."""
    text: Annotated[str, Field(max_length=1000)] = ""
    """What the first 64 KiB of the answer must contain."""
    timeout: Annotated[Span, AfterValidator(_short)] = timedelta(seconds=5)
    """Of the whole, redirects included."""
    successes: InARow = 2
    """In a row, before the URL counts as answering."""
    failures: InARow = 3
    """In a row, before one that answered counts as silent."""
    head_sha_header: HeaderName = "X-Head-Sha"
    """In which header the application says its commit."""

    def policy(self) -> ProbePolicy:
        return ProbePolicy(
            path=self.path,
            statuses=tuple(_numbers(each) for each in self.statuses),
            headers=self.headers,
            text=self.text,
            timeout=self.timeout,
            successes=self.successes,
            failures=self.failures,
            head_sha_header=self.head_sha_header,
        )


def _numbers(statuses: str) -> tuple[int, int]:
    first, _, last = statuses.partition("-")
    return int(first), int(last or first)

"""What a preview's URL has to answer, and what several answers in a row come to. Pure.

One answer decides nothing: an address is taken for answering, or for silent, only when several requests in a row said
so. What stays as it is changes nothing here, so a steady preview is never written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from previews.domain.preview import HeadSha, ProbeResult

PAGE_HEADER = "X-Previews-Page"
"""On every page that the manager shows under a preview's host: it is no answer of the application."""


ANSWERED = "Answered"
RESULTS = (
    ANSWERED,
    "AddressNotAllowed",
    "CertificateInvalid",
    "HostNotFound",
    "RedirectsAway",
    "URLDoesNotAnswer",
)
"""What one request can come to: an answer, or the reason of its absence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePolicy:
    """What a project says of the probe."""

    path: str = "/"
    """What is asked for, below the address."""
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    """Ranges, both ends included. A redirect is followed first, as long as it stays within the zone."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent along, such as what lets the probe past a login. No secret: the answer's author sees them."""
    text: str = ""
    """What the answer must contain; empty: whatever it says."""
    timeout: timedelta = timedelta(seconds=5)
    """Of the whole request, redirects included."""
    successes: int = 2
    """In a row, before the address counts as answering."""
    failures: int = 3
    """In a row, before one that answered counts as silent."""
    head_sha_header: str = "X-Head-Sha"
    """In which header the application says what commit it is; an application that says nothing is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeVerdict:
    """What the probes of some manifests came to."""

    answered: bool
    """As far as several requests in a row agree."""
    detail: str
    """Of the last request."""
    reason: str = "URLDoesNotAnswer"
    """Why it does not, as far as that can be told apart."""
    doubts: int = 0
    """How many requests in a row said otherwise."""
    has_answered: bool = False
    """Whether these manifests were ever live."""
    head_sha: str = ""
    """The commit that answered, if it says."""

    @property
    def was_live(self) -> bool:
        return self.answered or self.has_answered


def follow(
    before: ProbeVerdict | None, result: ProbeResult, policy: ProbePolicy, head_sha: HeadSha | None
) -> ProbeVerdict:
    """What is believed after one more request. `head_sha` is the commit that should answer."""
    before = before or ProbeVerdict(answered=False, detail="")
    is_old = bool(
        result.answered and head_sha and result.head_sha and not _is_same(head_sha, result.head_sha)
    )
    answered = result.answered and not is_old
    if answered and before.answered:
        # Another status that will do as well is no news.
        return replace(before, doubts=0)
    said = replace(
        before,
        detail=f"{result.head_sha[:7]} answers, not {(head_sha or '')[:7]}"
        if is_old
        else result.detail,
        reason="OldVersionAnswers" if is_old else result.reason,
        head_sha=result.head_sha,
        doubts=0,
    )
    if answered == before.answered:
        return said
    doubts = before.doubts + 1
    if doubts < (policy.successes if answered else policy.failures):
        return replace(before, doubts=doubts)
    return replace(said, answered=answered, has_answered=before.was_live)


def _is_same(head_sha: str, said: str) -> bool:
    """An application may say its commit in short."""
    return head_sha.startswith(said.lower())

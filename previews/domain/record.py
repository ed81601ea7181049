"""What the manager remembers of a preview, and what it says on its pull request."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from previews.domain.preview import (
    Condition,
    HeadSha,
    Manifests,
    Phase,
    PreviewKey,
    ProbeResult,
    PullRequest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord:
    """One preview's row. Everything in it can be found again from the forge, Git and the cluster."""

    key: PreviewKey
    fetch_mark: int = 0
    """Rises with every event about the pull request; zero when what is stored was read after the last one."""
    pull_request: PullRequest | None = None
    head_since: datetime | None = None
    """When this head_sha was first seen: what waiting for its image is counted from."""
    manifests: Manifests | None = None
    """What should be in Git. None until it is decided for the first time: then what is in Git stays as it is."""
    probed_digest: str = ""
    """The manifests that `probe_result` is about."""
    probe_result: ProbeResult | None = None
    phase: Phase = Phase.PROVISIONING
    reason: str = ""
    message: str = ""
    failed: bool = False
    """Whether the commit status says failure although more is being waited for."""
    conditions: tuple[Condition, ...] = ()


class StatusState(StrEnum):
    """What every forge knows for a commit status."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A commit status: one line and a link."""

    context: str
    state: StatusState
    description: str
    """At most 140 characters, GitHub's limit."""
    target_url: str


class Verdict(StrEnum):
    """What became of a delivery at the door."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    """An event that means nothing to us, or a repository that is not configured."""
    KEPT_ASIDE = "kept aside"
    """Signed, but not what its event should look like. Kept with its body for a person to read."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery, as stored before it is answered."""

    guid: str
    received_at: datetime
    event: str
    verdict: Verdict
    reason: str
    body: bytes = b""
    """Only of a delivery that was kept aside."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """All that one pull request should say now."""

    repository: str
    number: int
    statuses: tuple[tuple[HeadSha, CommitStatus], ...]
    comment_marker: str
    comment: str

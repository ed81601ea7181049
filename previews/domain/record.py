"""What the manager remembers of a preview, and what it says on its pull request."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from previews.domain.lifetime import Expiry, Facts
from previews.domain.policy import REASONS_OF_POLICY, PathsVerdict
from previews.domain.preview import (
    Condition,
    Grant,
    Manifests,
    Parcel,
    Phase,
    PreviewKey,
    PullRequest,
    Trace,
)
from previews.domain.probing import ProbeVerdict


@dataclass(frozen=True, slots=True)
class Gone:
    """One thing that a preview had, and when a look at it found nothing."""

    kind: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A removal, from its decision on. With `finished_at` it is the receipt."""

    cause: str
    """CamelCase, as a reason."""
    by: str
    """Who wanted it: a person, or `previews`."""
    started_at: datetime
    gone: tuple[Gone, ...] = ()
    finished_at: datetime | None = None
    """When a last look, at everything at once, found nothing left."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a preview's history."""

    at: datetime
    actor: str
    action: str
    """CamelCase: what was asked for, or what happened."""
    detail: str = ""


HISTORY_KEPT = 200
"""Entries of each preview; the oldest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord:
    """One preview's row. Everything in it can be found again from the forge, Git and the cluster."""

    key: PreviewKey
    fetch_mark: int = 0
    """Rises with every event about the pull request; zero when what is stored was read after the last one."""
    pull_request: PullRequest | None = None
    head_since: datetime | None = None
    """When this head_sha was first seen: what waiting for its image is counted from."""
    paths: PathsVerdict | None = None
    """Whether it changes files that policies name, as last asked; None if none did."""
    facts: Facts | None = None
    """None until there was something to deploy for the first time."""
    expiry: Expiry | None = None
    """As last shown."""
    queued_since: datetime | None = None
    """When it began to wait for a place, or to wait until it may be awake."""
    manifests: Manifests | None = None
    """What should be in Git. None until it is decided for the first time: then what is in Git stays as it is."""
    manifests_since: datetime | None = None
    """When it was last decided to deploy something else: what waiting for the deployment is counted from."""
    grant: Grant | None = None
    """The database that was made ready last, and the secret that opens it."""
    traces: tuple[Trace, ...] = ()
    """Where something of its database may be besides: known before anything is put there, until it is gone."""
    parcels: tuple[Parcel, ...] = ()
    """The project's own secrets, as they were last sent on their way."""
    edited_migrations: str = ""
    """What somebody changed of the migrations after they ran, and what to do about it."""
    storage_warning: str = ""
    """What there is to say of its database's size."""
    rules_warning: str = ""
    """What is wrong with its repository's own rules, and what it goes by until that is mended."""
    is_rewritten: bool = False
    """Whether they changed for the configuration's or a template's sake alone, and are not proven good yet."""
    removal: Removal | None = None
    """The one that is under way, or the last one: its receipt."""
    probed_digest: str = ""
    """The manifests that `probe` is about."""
    probe: ProbeVerdict | None = None
    phase: Phase = Phase.PROVISIONING
    reason: str = ""
    message: str = ""
    failed: bool = False
    """Whether the commit status says failure although more is being waited for."""
    conditions: tuple[Condition, ...] = ()
    shown_at: datetime | None = None
    """When anything of it that a pull request shows last changed."""

    def as_of(self, now: datetime) -> "PreviewRecord":
        """Without moments that are still to come: what is waited for since one of these would never be late."""

        def past(moment: datetime | None) -> datetime | None:
            return min(moment, now) if moment else None

        return replace(
            self,
            head_since=past(self.head_since),
            manifests_since=past(self.manifests_since),
            queued_since=past(self.queued_since),
            conditions=tuple(replace(each, since=min(each.since, now)) for each in self.conditions),
        )

    def facts_as_of(self, now: datetime) -> Facts:
        """When things happened to it, as far as that was not later than now; the last push is the head's."""
        pushed_at = self.head_since or now
        facts = self.facts or Facts(created_at=pushed_at, pushed_at=pushed_at)
        return replace(facts, pushed_at=pushed_at).as_of(now)

    def shown_since(self, before: "PreviewRecord", now: datetime) -> "PreviewRecord":
        """The same with the time of its last change, if it shows anything else than `before`."""
        return replace(self, shown_at=before.shown_at if self.face == before.face else now)

    @property
    def face(self) -> tuple[object, ...]:
        """All that is shown of it, but for what changes by itself while it is live."""
        return (
            self.pull_request.head_sha if self.pull_request else "",
            self.phase,
            self.reason,
            "" if self.phase is Phase.LIVE else self.message,
            self.failed,
            self.expiry,
            self.edited_migrations,
            self.storage_warning,
            self.rules_warning,
            self.removal.finished_at if self.removal else None,
        )

    @property
    def is_gone(self) -> bool:
        """Whether a look found nothing of it, and nothing is on its way."""
        is_unwanted = self.phase is Phase.BLOCKED and self.reason in REASONS_OF_POLICY
        return is_unwanted or self.phase in {Phase.REMOVED, Phase.EXPIRED}


class StatusState(StrEnum):
    """What every forge knows for a commit status."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


STATUS_PREFIX = "preview/"
"""Of the contexts of all commit statuses that managers set."""


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
    """Of a delivery that was kept aside. Of one that was accepted: what is still to be done for it, and no more."""

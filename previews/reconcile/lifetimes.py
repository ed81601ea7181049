"""Looks at one preview's lifetime: what was asked for and what happened, joined with what stands in Git."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from previews.domain.lifetime import (
    MANAGER,
    End,
    EndCause,
    Expiry,
    Facts,
    LifetimePolicy,
    Said,
    Wishes,
    end_of,
    expiry_of,
    last_use,
    sleep_of,
)
from previews.domain.lifetime_annotations import annotations_of, facts_from, wishes_from
from previews.domain.observation import NAMESPACE_FILE
from previews.domain.ports import Clock, Renderer, Store
from previews.domain.preview import Mode, PreviewKey, PullRequest, Stage
from previews.domain.record import PreviewRecord
from previews.reconcile.branch import GitBranch

LOOK_AGAIN_MAX = timedelta(hours=1)
LOOK_AT_HOURS = timedelta(minutes=1)
"""How exactly sleeping hours are kept, and how soon it is seen that requests are counted."""
CONFIRMED_FOR = timedelta(hours=1)
"""How long a confirmation lets a removal pass the brake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a preview's lifetime asks for now."""

    now: datetime
    facts: Facts
    wishes: Wishes
    expiry: Expiry | None
    """None while it is not there, or if it has none."""
    end: End | None
    sleep: Said | None
    annotations: dict[str, str]
    look_again_after: timedelta | None

    @property
    def was_asked_for(self) -> bool:
        """Whether a person wants the removal, so that the brake has nothing to say."""
        if self.end is not None and self.end.cause is not EndCause.EXPIRED:
            return True
        confirmed = self.wishes.confirmation
        return confirmed is not None and self.now - confirmed.at < CONFIRMED_FOR


class Lifetimes:
    """Reads wishes, and what a lost store left in Git. Safe from any thread."""

    def __init__(
        self,
        *,
        store: Store,
        branch: GitBranch,
        renderer: Renderer,
        clock: Clock,
        adopt: Callable[[PreviewKey, Wishes], None],
        quiet_since: Callable[[PreviewKey], datetime | None],
    ) -> None:
        """`adopt` merges wishes into those that are known.

        `quiet_since`: since when no request to a preview was counted; None while they are not counted.
        """
        self._store = store
        self._branch = branch
        self._renderer = renderer
        self._clock = clock
        self._adopt = adopt
        self._quiet_since = quiet_since
        self._lock = threading.Lock()
        self._adopted: set[PreviewKey] = set()

    def adopt(self, record: PreviewRecord, pull_request: PullRequest | None) -> PreviewRecord:
        """Take over what stands in Git and is not, or no longer, known here: in each process, until `confirm`."""
        key = record.key
        with self._lock:
            if key in self._adopted:
                return record
        known = record.manifests.files.get(NAMESPACE_FILE) if record.manifests else None
        text = self._branch.text_in_git(key, NAMESPACE_FILE, known)
        if text is not None and text != known:
            annotations = self._renderer.read_annotations(text)
            self._adopt(key, wishes_from(annotations))
            head_sha = pull_request.head_sha if pull_request else ""
            found = facts_from(annotations, head_sha, record.head_since or self._clock.now())
            if found is not None:
                facts = record.facts.merged(found) if record.facts else found
                record = replace(record, facts=facts, head_since=found.pushed_at)
                record = _without_a_former_life(record, found)
        return record

    def confirm(self, key: PreviewKey) -> None:
        """What `adopt` took over is stored."""
        with self._lock:
            self._adopted.add(key)

    def end(self, record: PreviewRecord) -> End | None:
        """Why it is not to be there, of one whose project is not configured."""
        now = self._clock.now()
        wishes = self._store.load_wishes(record.key).as_of(now)
        return end_of(record.facts_as_of(now), wishes, now)

    def look(
        self,
        policy: LifetimePolicy,
        record: PreviewRecord,
        pull_request: PullRequest,
        *,
        is_coming: bool = False,
    ) -> Outlook:
        """What is so now, by the clock. `is_coming`: it is not there yet, and was just decided to be."""
        now = self._clock.now()
        wishes = self._store.load_wishes(record.key).as_of(now)
        facts = record.facts_as_of(now)
        end = end_of(facts, wishes, now)
        is_there = record.facts is not None and (
            is_coming or record.manifests is None or record.manifests.stage is Stage.WHOLE
        )
        expiry = (
            expiry_of(policy, pull_request.labels, facts, wishes, now)
            if is_there and end is None
            else None
        )
        if expiry is not None and expiry.at <= now:
            end = End(EndCause.EXPIRED, now, MANAGER)
        quiet_since = self._quiet_since(record.key)
        sleep = sleep_of(policy, facts, wishes, now, quiet_since) if is_there else None
        return Outlook(
            now=now,
            facts=facts,
            wishes=wishes,
            expiry=expiry,
            end=end,
            sleep=sleep,
            annotations=annotations_of(
                replace(facts, asleep=sleep), wishes, expiry, pull_request.head_sha
            ),
            look_again_after=(
                _look_again_after(
                    policy, expiry, _sleep_moment(policy, facts, wishes, quiet_since, now), now
                )
                if is_there and end is None
                else None
            ),
        )


def _without_a_former_life(record: PreviewRecord, found: Facts) -> PreviewRecord:
    """What is remembered of manifests decides nothing where Git tells of what came after it."""
    manifests, removal = record.manifests, record.removal
    if manifests is None:
        return record
    if manifests.stage is Stage.WHOLE:
        # Somebody woke it since: what is remembered would take its host away once more.
        woken = manifests.mode is Mode.ASLEEP and found.asleep is None
        return replace(record, manifests=None) if woken else record
    if removal is None or found.created_at <= (removal.finished_at or removal.started_at):
        return record
    # It came back since: what is remembered would remove the new preview as the rest of the old one.
    receipt = removal if removal.finished_at else None
    return replace(record, manifests=None, grant=None, removal=receipt)


def _sleep_moment(
    policy: LifetimePolicy,
    facts: Facts,
    wishes: Wishes,
    quiet_since: datetime | None,
    now: datetime,
) -> datetime | None:
    """When it may fall asleep at the earliest."""
    if facts.asleep is not None:
        return None
    if policy.sleep_hours or (policy.sleep_after is not None and quiet_since is None):
        return now + LOOK_AT_HOURS
    if policy.sleep_after is None or quiet_since is None:
        return None
    at = max(last_use(facts, wishes), quiet_since) + policy.sleep_after
    # One that may not fall asleep yet is looked at again in a while.
    return at if at > now else now + LOOK_AT_HOURS


def _look_again_after(
    policy: LifetimePolicy, expiry: Expiry | None, sleep_at: datetime | None, now: datetime
) -> timedelta | None:
    """Until something follows from the mere passing of time."""
    moments = [sleep_at] if sleep_at else []
    if expiry is not None:
        moments += [expiry.at, *([] if expiry.is_near else [expiry.at - policy.warn_before])]
    if not moments:
        return None
    return min(LOOK_AGAIN_MAX, max(timedelta(seconds=1), min(moments) - now))

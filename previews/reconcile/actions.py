"""What people ask of previews, and how it is kept: the one place that writes wishes.

A wish is stored with its time and its author before anything follows from it; the reconciler finds it there. The API,
the command line, the waiting page and the manager itself all come through here.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from previews.domain.duration import format_duration
from previews.domain.lifetime import (
    MANAGER,
    VISITOR,
    Approval,
    LifetimePolicy,
    Said,
    Until,
    Wish,
    Wishes,
    ttl_of,
)
from previews.domain.naming import short_sha
from previews.domain.ports import Clock, Store
from previews.domain.preview import HeadSha, Phase, PreviewKey, PullRequest
from previews.domain.record import HistoryEntry, PreviewRecord
from previews.errors import ActionRefusedError
from previews.reconcile.effects import Effect, Effects

REPEATED_WITHIN = timedelta(seconds=1)
"""The same wish of the same person within this time is the same wish: an answer was lost, and it was sent again."""
CLOCKS_APART = timedelta(minutes=1)
"""By how much a comment has to be later than what we saw to be certainly so: its time is of the forge's clock."""
VISITS_KEPT_EVERY = timedelta(minutes=1)
"""A visit that is no later than this after the last one kept is not kept, nor one within a tenth of `sleep_after`."""


class Actions:
    """Safe from any thread. Every method refuses with ActionRefusedError what cannot be."""

    def __init__(
        self,
        *,
        store: Store,
        effects: Effects,
        clock: Clock,
        policies: Mapping[str, LifetimePolicy],
        with_databases: Collection[str] = (),
        enqueue: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        self._store = store
        self._effects = effects
        self._clock = clock
        self._policies = policies
        self._with_databases = with_databases
        self._enqueue = enqueue
        self._lock = threading.Lock()

    def ask(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Have a preview, also where its project makes none by itself, and back if it had ended."""
        _, record = self._known(key)
        if record.pull_request is not None:
            self._open(key)
        self._say(key, "Ask", "asked", actor, at=at)

    def approve(
        self, key: PreviewKey, head_sha: str, *, actor: str, at: datetime | None = None
    ) -> None:
        """Let one commit of a fork run, by its id: the one that is there now."""
        _, _, pull_request = self._open(key)
        if not pull_request.from_fork:
            raise ActionRefusedError(
                "NothingToApprove", f"the pull request of {key} is not from a fork"
            )
        if pull_request.head_sha != head_sha:
            raise ActionRefusedError(
                "PushCameAfter",
                f"the commit of {key} is {short_sha(pull_request.head_sha)} now, and not "
                f"{short_sha(HeadSha(head_sha))}: look at it, and approve it",
            )

        def approve(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            return replace(wishes, approval=Approval(head_sha, now, actor)), head_sha

        self._keep(key, "Approve", actor, approve, at=at)

    def approve_unnamed(
        self, key: PreviewKey, head_sha: HeadSha, *, actor: str, at: datetime
    ) -> None:
        """Let the present commit of a fork run, if whoever named none at that time can have meant no other."""
        _, record, pull_request = self._open(key)
        is_old = record.head_since is not None and record.head_since <= at - CLOCKS_APART
        if pull_request.from_fork and not (is_old and pull_request.head_sha == head_sha):
            minute = format_duration(CLOCKS_APART)
            raise ActionRefusedError(
                "PushCameAfter",
                f"the commit {short_sha(head_sha)} of {key} was first seen after it was approved, or "
                f"less than {minute} before: look at it, and approve it again {minute} later, or by its "
                "whole id",
            )
        self.approve(key, head_sha, actor=actor, at=at)

    def is_kept(self, key: PreviewKey, wish: str, at: datetime) -> bool:
        """Whether a field of its wishes holds what was asked for then, or later."""
        held = getattr(self._store.load_wishes(key), wish)
        return isinstance(held, Wish) and held.at >= at

    def look(self, key: PreviewKey) -> None:
        """Have it looked at: what it was asked for is kept, and perhaps nobody knows yet."""
        self._enqueue([key])

    def extend(
        self, key: PreviewKey, by: timedelta, *, actor: str, at: datetime | None = None
    ) -> None:
        """Have it expire later than it would, by a length of time."""
        policy, record, pull_request = self._open(key)
        if ttl_of(policy, pull_request.labels) is None:
            raise ActionRefusedError("NothingToExtend", f"{key} does not expire")
        self._check_length(by)

        def extend(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            before = wishes.extension
            if at is None and _is_repeated(wishes, before, actor, now):
                return None
            # What was asked for a moment ago may not be shown yet.
            known = [record.expiry.at if record.expiry else now, before.until if before else now]
            start, limit = max(now, *known), now + policy.ttl_max
            if by > limit - start:
                raise _beyond(key, policy, f"it expires at {_minute(start)}")
            until = start + by
            detail = f"by {format_duration(by)}, until {_minute(until)}"
            return replace(wishes, extension=Until(until, now, actor)), detail

        self._keep(key, "Extend", actor, extend, at=at)

    def pin(
        self,
        key: PreviewKey,
        length: timedelta | None = None,
        *,
        actor: str,
        at: datetime | None = None,
    ) -> None:
        """Keep it from expiring and from making room for others, for `length` or for as long as may be."""
        policy, _, _ = self._open(key)
        wanted = policy.ttl_max if length is None else length
        self._check_length(wanted)
        if wanted > policy.ttl_max:
            raise _beyond(key, policy, "a pin is counted from now")

        def pin(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            before = wishes.pin
            if (
                at is None
                and before
                and before.until - before.at == wanted
                and _is_repeated(wishes, before, actor, now)
            ):
                return None
            pin = Until(now + wanted, now, actor)
            return replace(wishes, pin=pin), f"until {_minute(pin.until)}"

        self._keep(key, "Pin", actor, pin, at=at)

    def unpin(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Take a pin back."""
        self._open(key)

        def unpin(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            before = wishes.pin
            was_unpinned = before is not None and before.until <= before.at
            if at is None and was_unpinned and _is_repeated(wishes, before, actor, now):
                return None
            return replace(wishes, pin=Until(now, now, actor)), ""

        self._keep(key, "Unpin", actor, unpin, at=at)

    def sleep(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Have it sleep until somebody uses it."""
        _, record, _ = self._open(key)
        _refuse_if_ended(record, "it cannot sleep")
        self._say(key, "Sleep", "sleep", actor, at=at)

    def wake(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Have it awake, and back if it had ended. A visitor brings nothing back, and wakes what sleeps once."""
        _, record, _ = self._open(key)
        if actor == VISITOR:
            _refuse_if_ended(record, "a visit does not bring it back")

        def wake(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            if actor == VISITOR and _is_woken(record, wishes):
                return None
            said = Said(now, actor) if at else _said(wishes, wishes.wake, actor, now)
            return (replace(wishes, wake=said), "") if said else None

        self._keep(key, "Wake", actor, wake, at=at)

    def redeploy(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Have its pods made anew, and the whole of it if it had ended."""
        self._open(key)
        self._say(key, "Redeploy", "redeploy", actor, at=at)

    def reset_database(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Have its database made anew from the template: what is in it is lost."""
        self._with_database(key)
        self._say(key, "ResetDatabase", "reset", actor, at=at)

    def rotate_password(self, key: PreviewKey, *, actor: str) -> None:
        """Have its database get a new password, and its pods with it."""
        self._with_database(key)
        self._say(key, "RotatePassword", "rotation", actor)

    def _with_database(self, key: PreviewKey) -> None:
        _, record, _ = self._open(key)
        _refuse_if_ended(record, "it has no database")
        if key.project not in self._with_databases:
            raise ActionRefusedError(
                "NoDatabase", f"the previews of project {key.project} have no database of their own"
            )

    def remove(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None:
        """Take it away until a push, or until somebody wants it back.

        That of a closed pull request goes by itself: a wish would outlast the removal and meet the reopened one. Where
        the forge knows no pull request, nothing goes but for a wish.
        """
        _, record = self._known(key)
        if record.reason != "PullRequestNotFound" and not _read(record).is_open:
            self._enqueue([key])
            return
        self._say(key, "Remove", "removal", actor, at=at)

    def remove_all(self, *, actor: str) -> list[PreviewKey]:
        """Take away every preview that is not gone yet. Says which; those of projects not configured are left."""
        keys = [
            record.key
            for record in self._store.list_records()
            if record.key.project in self._policies
            and record.pull_request is not None
            and not record.is_gone
        ]
        for key in keys:
            self.remove(key, actor=actor)
        return keys

    def drain(self, project: str, *, actor: str) -> list[PreviewKey]:
        """Take away every preview of a project that is not in the configuration any more. Says which."""
        if project in self._policies:
            raise ActionRefusedError(
                "ProjectConfigured",
                f"project {project} is in the configuration: take it out first, or remove its "
                "previews one by one",
            )
        keys = [
            record.key
            for record in self._store.list_records()
            if record.key.project == project and not record.is_gone
        ]
        for key in keys:
            self._say(key, "Drain", "removal", actor)
        return keys

    def evict(self, key: PreviewKey, why: str) -> None:
        """Take away what sleeps, to make room."""

        def evict(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            said = _said(wishes, wishes.eviction, why, now)
            return (replace(wishes, eviction=said), why) if said else None

        self._keep(key, "Evict", MANAGER, evict)

    def confirm(self, keys: Iterable[PreviewKey], *, actor: str) -> None:
        """Let removals go on that the brake held. Whoever asks names them: no others are meant."""
        for key in keys:
            self._say(key, "ConfirmRemoval", "confirmation", actor)

    def visited(self, key: PreviewKey, at: datetime) -> None:
        """A request to the preview itself was seen. No part of its history: there would be nothing else in it."""
        policy = self._policies.get(key.project, LifetimePolicy())
        granularity = min(VISITS_KEPT_EVERY, (policy.sleep_after or timedelta.max) / 10)
        with self._lock:
            wishes = self._store.load_wishes(key)
            now = self._clock.now()
            seen, before = min(at, now), wishes.active_at
            # A clock that was wrong may have said what lies in the future.
            if before is not None and before <= now and seen < before + granularity:
                return
            self._save(key, replace(wishes, active_at=seen), [])
        self._enqueue([key])

    def adopt(self, key: PreviewKey, found: Wishes) -> None:
        """Take over what was found in Git, as far as it is newer: the store may be of yesterday."""
        with self._lock:
            wishes = self._store.load_wishes(key)
            merged = wishes.merged(found)
            if merged != wishes:
                self._save(key, merged, [])

    def _known(self, key: PreviewKey) -> tuple[LifetimePolicy, PreviewRecord]:
        record = self._store.load(key)
        if record is None:
            raise ActionRefusedError("UnknownPreview", f"there is no preview {key}")
        policy = self._policies.get(key.project)
        if policy is None:
            raise ActionRefusedError(
                "ProjectNotConfigured",
                f"the project of {key} is not configured: nothing happens to its previews "
                "unless it is drained",
            )
        return policy, record

    def _open(self, key: PreviewKey) -> tuple[LifetimePolicy, PreviewRecord, PullRequest]:
        policy, record = self._known(key)
        pull_request = _read(record)
        if not pull_request.is_open:
            raise ActionRefusedError(
                "PullRequestClosed", f"the pull request of {key} is closed: reopen it first"
            )
        return policy, record, pull_request

    def _check_length(self, length: timedelta) -> None:
        if length <= timedelta(0):
            raise ActionRefusedError("NoLength", "the length of time must be more than nothing")

    def _say(
        self, key: PreviewKey, action: str, wish: str, actor: str, *, at: datetime | None = None
    ) -> None:
        """Keep a wish that says nothing but who asked for it, and when."""

        def say(wishes: Wishes, now: datetime) -> tuple[Wishes, str] | None:
            said = Said(now, actor) if at else _said(wishes, getattr(wishes, wish), actor, now)
            changed: dict[str, Any] = {wish: said}
            return (replace(wishes, **changed), "") if said else None

        self._keep(key, action, actor, say, at=at)

    def _keep(
        self,
        key: PreviewKey,
        action: str,
        actor: str,
        change: Callable[[Wishes, datetime], tuple[Wishes, str] | None],
        *,
        at: datetime | None = None,
    ) -> None:
        """Store what `change` makes of the wishes; it says None when they hold this one already.

        `at` is when somebody asked for it, if that was not now: what was asked for since then stays.
        """
        with self._lock:
            now = at or self._clock.now()
            before = self._store.load_wishes(key)
            changed = change(before, now)
            if changed is not None and not (at and before.merged(changed[0]) == before):
                wishes, detail = changed
                self._save(key, wishes, [HistoryEntry(now, actor, action, detail)])
        self._enqueue([key])

    def _save(self, key: PreviewKey, wishes: Wishes, history: list[HistoryEntry]) -> None:
        self._effects.perform(
            Effect.ACT, key, lambda: self._store.save_wishes(key, wishes, history)
        )


def _read(record: PreviewRecord) -> PullRequest:
    if record.pull_request is None:
        raise ActionRefusedError(
            "NotReadYet", f"the pull request of {record.key} was not read yet; ask again soon"
        )
    return record.pull_request


def _is_repeated(wishes: Wishes, before: Wish | None, actor: str, now: datetime) -> bool:
    """Whether `before` is this very wish, with nothing asked for since."""
    every = [getattr(wishes, each.name) for each in fields(wishes)]
    newest = max((wish.at for wish in every if isinstance(wish, Wish)), default=now)
    return (
        before is not None
        and before.by == actor
        and before.at == newest
        and abs(now - before.at) < REPEATED_WITHIN
    )


def _said(wishes: Wishes, before: Said | None, actor: str, now: datetime) -> Said | None:
    return None if _is_repeated(wishes, before, actor, now) else Said(now, actor)


def _is_woken(record: PreviewRecord, wishes: Wishes) -> bool:
    """Whether somebody asked for it since it fell asleep."""
    asleep = [record.facts.asleep if record.facts else None, wishes.sleep]
    since = [said.at for said in asleep if said]
    return wishes.wake is not None and all(wishes.wake.at > at for at in since)


def _refuse_if_ended(record: PreviewRecord, why: str) -> None:
    if record.phase is Phase.EXPIRED:
        raise ActionRefusedError(
            "PreviewEnded",
            f"{record.key} is not there any more, and {why}: wake, extend, pin or redeploy it",
        )


def _beyond(key: PreviewKey, policy: LifetimePolicy, why: str) -> ActionRefusedError:
    limit = format_duration(policy.ttl_max)
    return ActionRefusedError(
        "BeyondLimit", f"{key} may be kept for at most {limit} from now on; {why}"
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

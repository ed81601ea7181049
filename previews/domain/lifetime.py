"""How long a preview lives and when it sleeps: what was wished and when, and what follows from it. Pure.

Nothing is ever cleared. Each wish carries the time at which it was made, and the latest one counts; so wishes from Git
and from a store that was restored from yesterday are merged by taking the later of each.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self, TypeAlias
from zoneinfo import ZoneInfo

VISITOR = "a visitor"
MANAGER = "previews"
"""Who did it, when no person did."""
STAYS_AWAKE = timedelta(minutes=30)
"""After a use within sleeping hours, when a project does not say how long."""


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody asked for, and when."""

    at: datetime
    by: str
    """A person's name as they or their client gave it, `a visitor`, or why the manager did it."""


@dataclass(frozen=True, slots=True)
class Until:
    """What somebody asked for, for a time. One that lasts until it was asked for takes an earlier one back."""

    until: datetime
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Approval:
    """That a person who may has read one commit of a fork, and lets it run. It is of no other commit."""

    head_sha: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The newest of each kind of wish about one preview."""

    asked: Said | None = None
    """That there be a preview, although the project's policy alone would not make one."""
    approval: Approval | None = None
    pin: Until | None = None
    extension: Until | None = None
    sleep: Said | None = None
    wake: Said | None = None
    redeploy: Said | None = None
    removal: Said | None = None
    reset: Said | None = None
    """Of its database, to what the template holds."""
    rotation: Said | None = None
    """Of its database's password."""
    eviction: Said | None = None
    confirmation: Said | None = None
    """Of a removal that the brake held."""
    active_at: datetime | None = None
    """When a request was last seen, or known to have been at the latest."""

    def merged(self, other: Self) -> Self:
        """The later of each."""
        later: dict[str, Any] = {
            each.name: _later(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)
        }
        return type(self)(**later)

    def as_of(self, now: datetime) -> Self:
        """Without what was said later than now: by a clock that was wrong."""
        future: dict[str, Any] = {
            each.name: None
            for each in fields(self)
            if (wish := getattr(self, each.name)) and _at(wish) > now
        }
        return replace(self, **future) if future else self

    @property
    def revived_at(self) -> datetime | None:
        """When somebody last asked for something that brings an ended preview back. A visit does not."""
        pinned = self.pin if self.pin and self.pin.until > self.pin.at else None
        woken = self.wake if self.wake and self.wake.by != VISITOR else None
        revived = (woken, self.redeploy, self.extension, pinned, self.asked)
        asked = [each.at for each in revived if each]
        return max(asked, default=None)


Wish: TypeAlias = Said | Until | Approval
"""What one person asked for at one time."""


def _later(one: Wish | datetime | None, other: Wish | datetime | None) -> Wish | datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=_at)


def _at(wish: Wish | datetime) -> datetime:
    return wish if isinstance(wish, datetime) else wish.at


class Anchor(StrEnum):
    """What a preview's time to live is counted from."""

    CREATION = "creation"
    LAST_PUSH = "last_push"
    LAST_ACTIVITY = "last_activity"


@dataclass(frozen=True, slots=True)
class SleepHours:
    """Hours of the week in which previews sleep unless they are used."""

    days: frozenset[int]
    """Of their beginning; Monday is 0."""
    start: time
    end: time
    """Earlier than `start`, or equal to it: on the next day."""
    zone: str

    def contain(self, moment: datetime) -> bool:
        local = moment.astimezone(ZoneInfo(self.zone))
        today, now = local.weekday(), local.time()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        began_yesterday = (today - 1) % 7 in self.days and now < self.end
        return began_yesterday or (today in self.days and now >= self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimePolicy:
    """What a project says about the lifetime of its previews."""

    ttl: timedelta | None = None
    """None: they live as long as their pull request."""
    ttl_max: timedelta = timedelta(days=30)
    """What a label may ask for, and how far ahead an extension or a pin may reach."""
    anchor: Anchor = Anchor.LAST_PUSH
    warn_before: timedelta = timedelta(hours=6)
    sleep_after: timedelta | None = None
    """Without a request for this long; None: never for that."""
    sleep_hours: tuple[SleepHours, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """When things happened to a preview."""

    created_at: datetime
    pushed_at: datetime
    expired_at: datetime | None = None
    asleep: Said | None = None

    def as_of(self, now: datetime) -> Self:
        """Without what happened later than now: by a clock that was wrong."""
        return replace(
            self,
            created_at=min(self.created_at, now),
            pushed_at=min(self.pushed_at, now),
            expired_at=self.expired_at if self.expired_at and self.expired_at <= now else None,
            asleep=self.asleep if self.asleep and self.asleep.at <= now else None,
        )

    def merged(self, in_git: Self) -> Self:
        """With what stands in Git, which may be newer: the later of each, but for the push, which Git knows best."""
        asleep = [each for each in (self.asleep, in_git.asleep) if each]
        return type(self)(
            created_at=max(self.created_at, in_git.created_at),
            pushed_at=in_git.pushed_at,
            expired_at=self.expired_at,
            asleep=max(asleep, key=lambda said: said.at, default=None),
        )


class EndCause(StrEnum):
    """Why an open pull request's preview was taken away."""

    EXPIRED = "Expired"
    EVICTED = "Evicted"
    REMOVED = "RemovedByHand"


@dataclass(frozen=True, slots=True)
class End:
    """That a preview was taken away although its pull request is open."""

    cause: EndCause
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a preview goes by itself, and why then."""

    at: datetime
    anchor: Anchor
    anchored_at: datetime
    ttl: timedelta
    extended_by: str = ""
    """Who made it later than the anchor and the TTL say."""
    pinned_by: str = ""
    is_near: bool = False
    """Whether people should be warned."""


TTL_LABEL = "preview-ttl:"
"""A pull request's label `preview-ttl: 24h` sets its preview's time to live."""
_UNITS = {"m": 60, "h": 3600, "d": 86400}


def ttl_of(policy: LifetimePolicy, pull_request_labels: tuple[str, ...]) -> timedelta | None:
    """The time to live: a label's if there is a good one, within what the server allows, else the project's."""
    for label in sorted(pull_request_labels):
        text = label.removeprefix(TTL_LABEL).strip()
        if label.startswith(TTL_LABEL) and text[:-1].isdecimal() and text[-1:] in _UNITS:
            # More than this many seconds are beyond every limit, and beyond what a timedelta holds.
            seconds = min(int(text[:-1][:9]) * _UNITS[text[-1]], 10**9)
            if seconds:
                return min(timedelta(seconds=seconds), policy.ttl_max)
    return policy.ttl


def expiry_of(
    policy: LifetimePolicy,
    pull_request_labels: tuple[str, ...],
    facts: Facts,
    wishes: Wishes,
    now: datetime,
) -> Expiry | None:
    """When the preview expires; None if it does not."""
    ttl = ttl_of(policy, pull_request_labels)
    if ttl is None:
        return None
    anchored_at = {
        Anchor.CREATION: facts.created_at,
        Anchor.LAST_PUSH: max(facts.created_at, facts.pushed_at),
        Anchor.LAST_ACTIVITY: last_use(facts, wishes),
    }[policy.anchor]
    if (back := _brought_back_at(facts, wishes)) is not None:
        anchored_at = max(anchored_at, back)
    at, extended_by, pinned_by = anchored_at + ttl, "", ""
    if wishes.extension and wishes.extension.until > at:
        at, extended_by = wishes.extension.until, wishes.extension.by
    if wishes.pin and wishes.pin.until > at:
        at = wishes.pin.until
    if is_pinned(wishes, now) and wishes.pin:
        pinned_by = wishes.pin.by
    return Expiry(
        at=at,
        anchor=policy.anchor,
        anchored_at=anchored_at,
        ttl=ttl,
        extended_by=extended_by,
        pinned_by=pinned_by,
        is_near=at - policy.warn_before <= now,
    )


def is_pinned(wishes: Wishes, now: datetime) -> bool:
    """A pinned preview neither expires nor makes room for another."""
    return wishes.pin is not None and wishes.pin.until > now


def last_use(facts: Facts, wishes: Wishes) -> datetime:
    """The latest sign that somebody wants the preview to run."""
    asked = [each.at for each in (wishes.wake, wishes.redeploy) if each]
    seen = [wishes.active_at] if wishes.active_at else []
    return max(facts.created_at, facts.pushed_at, *asked, *seen)


def end_of(facts: Facts, wishes: Wishes, now: datetime) -> End | None:
    """Why the preview is not to be there, unless a push or a person brought it back since."""
    ends = [End(EndCause.EXPIRED, facts.expired_at, MANAGER)] if facts.expired_at else []
    if wishes.removal:
        ends.append(End(EndCause.REMOVED, wishes.removal.at, wishes.removal.by))
    if wishes.eviction:
        ends.append(End(EndCause.EVICTED, wishes.eviction.at, wishes.eviction.by))
    # A clock that was wrong said what lies in the future: that never happened.
    last = max((end for end in ends if end.at <= now), key=lambda end: end.at, default=None)
    if last is None:
        return None
    back = max(facts.pushed_at, wishes.revived_at or facts.pushed_at)
    return last if last.at >= back else None


def _brought_back_at(facts: Facts, wishes: Wishes) -> datetime | None:
    """When an ended preview was asked for again, if that was its last end."""
    ended = [each.at for each in (wishes.removal, wishes.eviction) if each]
    ended += [facts.expired_at] if facts.expired_at else []
    back = wishes.revived_at
    return back if back and ended and back > max(ended) else None


def sleep_of(
    policy: LifetimePolicy,
    facts: Facts,
    wishes: Wishes,
    now: datetime,
    watched_since: datetime | None,
) -> Said | None:
    """Since when and why the preview is to sleep; None while it is to be awake.

    `watched_since`: from when on every request was counted, so that silence means something; None while they are not.
    """
    used = last_use(facts, wishes)
    if facts.asleep and used <= facts.asleep.at <= now:
        return facts.asleep
    if wishes.sleep and used <= wishes.sleep.at:
        return wishes.sleep
    if (
        policy.sleep_after is not None
        and watched_since is not None
        and now - max(used, watched_since) >= policy.sleep_after
    ):
        return Said(now, "nobody visited it")
    stays_awake = policy.sleep_after or STAYS_AWAKE
    if now - used >= stays_awake and any(hours.contain(now) for hours in policy.sleep_hours):
        return Said(now, "sleeping hours")
    return None

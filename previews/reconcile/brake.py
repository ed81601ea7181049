"""Holds removals when too many would happen at once: a wrong clock, a mistyped configuration, a forge gone mad.

It looks at everything that wants to go at this moment, not only at what has gone: of a hundred previews that a clock
jump lets expire, not even the first is removed. What a person asked for, or confirmed, passes.
"""

import threading
from collections.abc import Iterable
from datetime import datetime

import structlog

from previews.domain.brake import BrakeLimits, BrakeState
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey

_log = structlog.get_logger("previews.brake")

CHANGED = "PullRequestChanged"


class Brake:
    """Asked before a removal begins. Safe from any thread."""

    def __init__(self, limits: BrakeLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._there: set[PreviewKey] = set()
        self._expiries: dict[PreviewKey, datetime] = {}
        self._leaving: dict[PreviewKey, str] = {}
        self._held: dict[PreviewKey, str] = {}
        self._begun: dict[PreviewKey, datetime] = {}

    def holds(self, key: PreviewKey, cause: str) -> bool:
        """Whether the removal of this preview may not begin now. If it may, it counts as begun."""
        now = self._clock.now()
        with self._lock:
            begun = self._begun_lately(now)
            if key in self._begun:
                return False
            self._there.add(key)
            self._leaving[key] = cause
            leaving = self._leaving.keys() | {
                other for other, at in self._expiries.items() if at <= now
            }
            allowed = self._limits.allowed(len(self._there | self._begun.keys()))
            if begun + len(leaving) > allowed:
                is_news = not self._held
                self._held[key] = cause
                if is_news:
                    _log.warning(
                        "the brake holds", begun=begun, leaving=len(leaving), allowed=allowed
                    )
                return True
            self._forget(key)
            self._begun[key] = now
            return False

    def stays(self, key: PreviewKey, expires_at: datetime | None) -> None:
        """This preview is there, and is not to go before `expires_at`."""
        with self._lock:
            self._forget(key)
            self._there.add(key)
            if expires_at is not None:
                self._expiries[key] = expires_at

    def goes_by_hand(self, key: PreviewKey) -> None:
        """Somebody wants this preview gone, or it is gone: it does not count."""
        with self._lock:
            self._forget(key)

    def cannot_go(self, key: PreviewKey) -> None:
        """It cannot be looked at now, and so does not go: it holds up no other. It asks again when it can."""
        with self._lock:
            self._leaving.pop(key, None)
            self._held.pop(key, None)

    def began(self, key: PreviewKey, at: datetime) -> None:
        """A removal that a former process began."""
        with self._lock:
            self._begun[key] = at

    def suspects(self, keys: Iterable[PreviewKey], cause: str) -> None:
        """These may have to go; each is looked at by itself, and stays or asks."""
        with self._lock:
            for key in keys:
                if key in self._there:
                    self._leaving.setdefault(key, cause)

    def adopts(self, keys: Iterable[PreviewKey]) -> None:
        """These are there, and nothing is remembered of them: they may all want to go, until each was looked at."""
        with self._lock:
            for key in keys:
                self._there.add(key)
                self._leaving.setdefault(key, CHANGED)

    def state(self) -> BrakeState:
        """What is held now."""
        now = self._clock.now()
        with self._lock:
            return BrakeState(
                holds=bool(self._held),
                held=tuple(sorted(self._held.items())),
                begun=self._begun_lately(now),
                allowed=self._limits.allowed(len(self._there | self._begun.keys())),
                window_seconds=self._limits.window.total_seconds(),
            )

    def _forget(self, key: PreviewKey) -> None:
        self._there.discard(key)
        self._expiries.pop(key, None)
        self._leaving.pop(key, None)
        self._held.pop(key, None)

    def _begun_lately(self, now: datetime) -> int:
        """A beginning that lies in the future was seen by a clock that was wrong."""
        since = now - self._limits.window
        self._begun = {key: at for key, at in self._begun.items() if since < at <= now}
        return len(self._begun)

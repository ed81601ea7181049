"""Reads the forge's own list of what it could not deliver, and asks for each of those once more.

A resync finds what a lost webhook was about; this makes up for it sooner, and nothing depends on it.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from previews.domain.forge_ports import FailedDelivery, Redeliveries
from previews.domain.ports import Clock, Store
from previews.errors import PreviewsError, StalledError
from previews.reconcile.effects import Effect, Effects

INTERVAL_SECONDS = 300.0
REACHES_BACK = timedelta(days=3)
"""GitHub redelivers nothing that is older."""
OVERLAP = timedelta(minutes=10)
"""A delivery may stand in the list a while after its time; one that was seen before is known."""
ATTEMPTS_MAX = 3
"""Of each delivery: one that fails so often meets something that another attempt does not mend."""
AT_ONCE = 100
"""In one look; the others have their turn in the next."""
RESULTS = ("redelivered", "known", "given_up")
"""What became of a failed delivery: it was asked for, it had come all the same, or it failed too often."""

_log = structlog.get_logger("previews.redelivery")


@dataclass(slots=True)
class _Seen:
    """What is remembered of one failed delivery."""

    first_at: datetime
    attempts: int = 0
    """That were asked for."""
    is_settled: bool = False
    """Whether it was counted as known or given up."""


class Redelivery:
    """One look every few minutes, on a thread of its own."""

    def __init__(
        self, forge: Redeliveries | None, store: Store, effects: Effects, clock: Clock
    ) -> None:
        """`forge` is None where a forge keeps no such list: then there is nothing to do."""
        self._forge = forge
        self._store = store
        self._effects = effects
        self._clock = clock
        self._since: datetime | None = None
        self._seen: dict[str, _Seen] = {}
        """By GUID."""
        self._counts: Counter[str] = Counter()
        self.note = ""
        """What is wrong with it at present. It is nothing that a manager could not live with."""

    def run(self, stop: threading.Event) -> None:
        """Look at once, and then at each interval."""
        if self._forge is None:
            return
        while not stop.is_set():
            self.look()
            stop.wait(INTERVAL_SECONDS)

    def counts(self) -> Mapping[str, int]:
        """How many failed deliveries were seen since the start, by what became of them."""
        return {result: self._counts[result] for result in RESULTS}

    def look(self) -> None:
        """Read what failed since the last look, and ask for it again. Never raises."""
        if self._forge is None:
            return
        now = self._clock.now()
        try:
            is_whole = self._redeliver(self._forge, now)
        except PreviewsError as error:
            self.note = error.message
            _log.warning("redelivery", reason=error.reason, message=error.message)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the looking in silence
            self.note = f"a bug in previews: {error!r}"
            _log.exception("bug")
        else:
            self.note = ""
            if is_whole:
                self._since = now
            # A delivery's time is the forge's, whose clock may differ.
            before = now - REACHES_BACK - OVERLAP
            self._seen = {g: seen for g, seen in self._seen.items() if seen.first_at > before}

    def _redeliver(self, forge: Redeliveries, now: datetime) -> bool:
        """Says whether every one of them had its turn."""
        earliest = now - REACHES_BACK
        # A clock that was set back must not leave anything out.
        since = max(earliest, min(self._since, now) - OVERLAP) if self._since else earliest
        failed = forge.list_failed_deliveries(since)
        known = self._store.known_deliveries([each.guid for each in failed]) if failed else set()
        due: list[FailedDelivery] = []
        for each in failed:
            seen = self._seen.setdefault(each.guid, _Seen(each.delivered_at))
            if each.guid in known:
                self._settle(seen, "known")
            elif seen.attempts >= ATTEMPTS_MAX:
                self._settle(seen, "given_up")
            else:
                due.append(each)
        for each in due[:AT_ONCE]:
            self._ask(forge, each)
        return len(due) <= AT_ONCE

    def _ask(self, forge: Redeliveries, delivery: FailedDelivery) -> None:
        seen = self._seen[delivery.guid]
        try:
            self._effects.perform(
                Effect.REDELIVER, delivery.guid, partial(forge.redeliver, delivery.id)
            )
        except StalledError as error:
            # It will not do that one: it is too old, or gone.
            seen.attempts = ATTEMPTS_MAX
            self._settle(seen, "given_up")
            _log.info("not redelivered", guid=delivery.guid, message=error.message)
            return
        seen.attempts += 1
        self._counts["redelivered"] += 1

    def _settle(self, seen: _Seen, result: str) -> None:
        if not seen.is_settled:
            seen.is_settled = True
            self._counts[result] += 1

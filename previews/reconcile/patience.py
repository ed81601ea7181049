"""When what a preview passes through is worth a write to the forge, which counts what is written to it.

What lasts is told at once. What is over soon, as a rule, is told when it has lasted, and then less and less often.
Kept in memory only: after a start the waits begin anew.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord

PUBLISH_AFTER_SECONDS = 1.0
"""What a preview passes through in less is not worth a write to the forge."""
REMOVAL_AFTER_SECONDS = 30.0
"""The same for a removal: whoever closed a pull request waits for nothing."""
AGAIN_AFTER_SECONDS = 60.0
"""One that is still under way waits so long for the next write, or as long as it has taken already."""

_PASSING = {Phase.PROVISIONING, Phase.DEPLOYING, Phase.WAKING, Phase.REMOVING}
"""Phases that are over soon, as a rule."""


@dataclass(slots=True)
class _Passing:
    since: float
    due: float | None
    """None: what there was to say has been said."""


class Patience:
    """Of all previews. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._passing: dict[PreviewKey, _Passing] = {}

    def changed(self, record: PreviewRecord) -> float:
        """Something about a preview changed. In how many seconds that may be told."""
        now = self._monotonic()
        with self._lock:
            if record.failed or record.phase not in _PASSING:
                self._passing.pop(record.key, None)
                return 0.0
            first = (
                REMOVAL_AFTER_SECONDS if record.phase is Phase.REMOVING else PUBLISH_AFTER_SECONDS
            )
            passing = self._passing.setdefault(record.key, _Passing(since=now, due=now + first))
            if passing.due is None:
                passing.due = now + max(AGAIN_AFTER_SECONDS, now - passing.since)
            return max(0.0, passing.due - now)

    def seconds_left(self, key: PreviewKey) -> float:
        """How long it should still not be told."""
        with self._lock:
            passing = self._passing.get(key)
            if passing is None or passing.due is None:
                return 0.0
            return max(0.0, passing.due - self._monotonic())

    def told(self, key: PreviewKey) -> None:
        """It was told as it is."""
        with self._lock:
            if passing := self._passing.get(key):
                passing.due = None

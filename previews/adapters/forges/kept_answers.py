"""What GitHub answered last, by what was asked, with the ETag that asks whether it is still so.

What is kept is read already, and small. It is bounded twice: by number, and by how long nobody asked for it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

ENTRIES_MAX = 10_000
IDLE_SECONDS_MAX = 2 * 3600.0


@dataclass(slots=True)
class Kept:
    """One answer."""

    etag: str
    value: Any
    """Whatever its reader made of it: only that reader asks for it."""
    used_at: float


class KeptAnswers:
    """Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float], entries_max: int = ENTRIES_MAX) -> None:
        self._monotonic = monotonic
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        """The one that was not asked for longest comes first."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, asked: Hashable) -> Kept | None:
        """What was kept of this, if anything."""
        now = self._monotonic()
        with self._lock:
            self._forget(now)
            found = self._kept.get(asked)
            if found is not None:
                found.used_at = now
                self._kept.move_to_end(asked)
            return found

    def keep(self, asked: Hashable, etag: str, value: object) -> None:
        now = self._monotonic()
        with self._lock:
            self._kept[asked] = Kept(etag, value, now)
            self._kept.move_to_end(asked)
            self._forget(now)

    def drop(self, asked: Hashable) -> None:
        with self._lock:
            self._kept.pop(asked, None)

    def _forget(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if len(self._kept) <= self._entries_max and oldest.used_at > now - IDLE_SECONDS_MAX:
                return
            self._kept.popitem(last=False)

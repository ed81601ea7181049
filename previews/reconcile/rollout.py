"""Lets a changed template or configuration reach live previews a few at a time.

One that is not well afterwards keeps its place, so a change that breaks previews stops by itself after so many.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog

from previews.domain.preview import Phase, PreviewKey, Stage
from previews.domain.record import PreviewRecord

_log = structlog.get_logger("previews.rollout")


class Rollout:
    """Hands out places for rewrites. Safe from any thread."""

    def __init__(self, at_most: int, enqueue: Callable[[Iterable[PreviewKey]], None]) -> None:
        self._at_most = at_most
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._under_way: dict[PreviewKey, bool] = {}
        """Whether it is failing."""
        self._waiting: set[PreviewKey] = set()

    @contextmanager
    def looked_at(self, key: PreviewKey) -> Iterator[None]:
        """While it is looked at. Whoever still waits asks again then, and what it does not take is for the next one."""
        with self._lock:
            self._waiting.discard(key)
        try:
            yield
        finally:
            self._wake()

    def may_rewrite(self, key: PreviewKey) -> bool:
        """Whether this preview's files may change now. If not, it is looked at again when one is done."""
        with self._lock:
            if key in self._under_way or len(self._under_way) < self._at_most:
                self._under_way.setdefault(key, False)
                self._waiting.discard(key)
                return True
            self._waiting.add(key)
            return False

    def is_under_way(self, key: PreviewKey, *, fails: bool) -> None:
        """It was rewritten, and is not proven good yet."""
        with self._lock:
            known, self._under_way[key] = self._under_way.get(key, False), fails
            failing = sum(self._under_way.values())
        if fails and not known and failing >= self._at_most:
            _log.warning("the rollout stands", failing=failing)

    def cannot_be_looked_at(self, key: PreviewKey) -> None:
        """Nobody knows whether it is well: if it was rewritten, it counts as one that is not."""
        with self._lock:
            known = key in self._under_way
        if known:
            self.is_under_way(key, fails=True)

    def gives_back(self, key: PreviewKey) -> None:
        """It took a place and was not rewritten after all: that could not be kept, and it got another version since."""
        with self._lock:
            self._under_way.pop(key, None)

    def settled(self, key: PreviewKey) -> None:
        """It is well with what was written, or gone."""
        with self._lock:
            self._under_way.pop(key, None)
            self._waiting.discard(key)
        self._wake()

    def go_on(self) -> None:
        """Somebody accepts that some are not well: they no longer count."""
        with self._lock:
            self._under_way = {key: fails for key, fails in self._under_way.items() if not fails}
            waiting = sorted(self._waiting)
        self._enqueue(waiting)

    def _wake(self) -> None:
        """Have some that wait looked at, if places are free."""
        with self._lock:
            is_free = len(self._under_way) < self._at_most
            waiting = sorted(self._waiting)[: self._at_most] if is_free else []
        self._enqueue(waiting)

    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting)

    def failing(self) -> int:
        with self._lock:
            return sum(self._under_way.values())


def is_well(record: PreviewRecord) -> bool:
    """Whether a change would disturb it. Who is on the way to another version gets everything along with that."""
    known = record.manifests
    is_there = known is not None and known.stage is Stage.WHOLE
    return is_there and record.phase in {Phase.LIVE, Phase.ASLEEP}

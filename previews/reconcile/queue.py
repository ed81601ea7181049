"""The keyed work queue: a key is in it once, is worked by one thread at a time, and may be due later.

The queue is in memory only. Every key can be found again, from the store's marks and from a resync.
"""

import heapq
import random
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 60.0


class WorkQueue(Generic[K]):
    """Keys to look at, the earliest due first. Safe from any thread."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._changed = threading.Condition()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._in_work: set[K] = set()
        self._backoff: dict[K, float] = {}
        """How long a key that failed waits at most the next time."""
        self._closed = False

    def add(self, key: K, *, after_seconds: float = 0.0) -> None:
        """Make a key due. If it is due earlier already, it stays so."""
        due = self._monotonic() + after_seconds
        with self._changed:
            if self._closed or self._due.get(key, due + 1) <= due:
                return
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, key))
            self._changed.notify()

    def take(self) -> K | None:
        """Wait for a key that is due and in no one's hands; None when the queue was closed. Call `done` after it."""
        with self._changed:
            while not self._closed:
                wait = self._seconds_to_next()
                if wait is not None and wait <= 0:
                    return self._pop()
                self._changed.wait(wait)
            return None

    def take_due(self) -> K | None:
        """A key that is due at this moment, or None. Call `done` after it."""
        with self._changed:
            wait = self._seconds_to_next()
            return self._pop() if wait is not None and wait <= 0 else None

    def seconds_to_next(self) -> float | None:
        """How long until a key is due; None while there is none."""
        with self._changed:
            return self._seconds_to_next()

    def _pop(self) -> K:
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._in_work.add(key)
        return key

    def _seconds_to_next(self) -> float | None:
        """Drop entries that were overtaken, set aside keys in work, and say how long the next one has."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)
            elif key in self._in_work:
                # `done` puts it back: it stays in _due until then.
                heapq.heappop(self._heap)
            else:
                return due - self._monotonic()
        return None

    def done(self, key: K, *, failed: bool = False, not_before_seconds: float = 0.0) -> float:
        """A key was worked. After a failure it is due again, later each time; returns in how many seconds.

        `not_before_seconds` is what an outside system asked for.
        """
        with self._changed:
            self._in_work.discard(key)
            delay = 0.0
            if failed:
                ceiling = self._backoff.get(key, BACKOFF_FIRST_SECONDS)
                self._backoff[key] = min(BACKOFF_MAX_SECONDS, 2 * ceiling)
                delay = max(not_before_seconds, ceiling * self._jitter.uniform(0.5, 1.0))
            else:
                self._backoff.pop(key, None)
            if key in self._due:
                self._sequence += 1
                heapq.heappush(self._heap, (self._due[key], self._sequence, key))
            self._changed.notify()
        if failed:
            self.add(key, after_seconds=delay)
        return delay

    def close(self) -> None:
        """Wake every waiting thread with None; nothing is accepted any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def due(self) -> int:
        """How many keys a thread could take at this moment: what is due later, or in work, does not wait for one."""
        now = self._monotonic()
        with self._changed:
            return sum(at <= now and key not in self._in_work for key, at in self._due.items())

    def __len__(self) -> int:
        with self._changed:
            return len(self._due) + len(self._in_work)

"""Who may be there, and who may be awake: remembers what holds a place and who waits for one.

In memory only; what holds a place is found again in the records.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from previews.domain.caps import Caps, Holder, Place, Waiting, place_of
from previews.domain.preview import PreviewKey


class Admission:
    """Hands out places. Safe from any thread."""

    def __init__(
        self,
        server: Caps,
        projects: Mapping[str, Caps],
        *,
        evicts: bool,
        enqueue: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        """`evicts`: whether a preview that sleeps may have to make room. `enqueue` wakes those who wait."""
        self._server = server
        self._projects = projects
        self._evicts = evicts
        self._enqueue = enqueue
        self._is_limited = any(caps != Caps() for caps in (server, *projects.values()))
        self._lock = threading.RLock()
        self._holders: dict[PreviewKey, Holder] = {}
        self._queue: dict[PreviewKey, Waiting] = {}
        self._reserved: set[PreviewKey] = set()
        """Holders that are not there yet."""
        self._leaving: dict[PreviewKey, str] = {}
        """Holders that make room, and in what; nothing is known of what a former process let go."""

    def ask(self, asking: Waiting) -> Place | None:
        """None: it may, and holds the place from now on. Otherwise it waits."""
        if not self._is_limited:
            return None
        key = asking.key
        with self._lock:
            holder = self._holders.get(key)
            if holder is not None and holder.is_awake:
                return None
            place = self._place_of(asking)
            if place is None:
                self._queue.pop(key, None)
                if not asking.is_there:
                    self._reserved.add(key)
                self._holders[key] = Holder(
                    key=key,
                    author=asking.author,
                    is_awake=True,
                    is_pinned=False,
                    last_use=datetime.max.replace(tzinfo=UTC),
                )
                return None
            self._queue[key] = asking
            under_way = place.full in self._leaving.values() or "" in self._leaving.values()
            if not self._evicts or place.to_evict is None or under_way:
                return replace(place, to_evict=None)
            self.makes_room(place.to_evict, place.full)
            return place

    def makes_room(self, key: PreviewKey, full: str = "") -> None:
        """This holder is on its way out, and no other is asked for the same meanwhile, however long it takes."""
        with self._lock:
            if key in self._holders:
                self._leaving[key] = full
                self._holders[key] = replace(self._holders[key], is_pinned=True)

    def comes_back(self, key: PreviewKey) -> None:
        """It was to make room, and somebody wants it again."""
        with self._lock:
            self._leaving.pop(key, None)

    def waits(self, asking: Waiting) -> None:
        """This preview waited in a former process: nobody who came later goes first."""
        with self._lock:
            self._queue[asking.key] = asking

    def gives_up(self, key: PreviewKey) -> None:
        """This preview cannot be looked at now: it holds up nobody, and keeps what it holds. It may ask again."""
        with self._lock:
            is_there = key in self._holders and key not in self._reserved
        if is_there:
            self.no_longer_asks(key)
        else:
            self.leaves(key)

    def no_longer_asks(self, key: PreviewKey) -> None:
        """This preview keeps what it holds, and waits for nothing more."""
        with self._lock:
            was_queued = self._queue.pop(key, None)
            waiting = list(self._queue) if was_queued else []
        self._enqueue(waiting)

    def holds(self, holder: Holder) -> None:
        """This preview is there."""
        with self._lock:
            before = self._holders.get(holder.key)
            if holder.key in self._leaving:
                holder = replace(holder, is_pinned=True)
            self._holders[holder.key] = holder
            self._reserved.discard(holder.key)
            self._queue.pop(holder.key, None)
            waiting = list(self._queue) if before and before.is_awake > holder.is_awake else []
        self._enqueue(waiting)

    def place(self, key: PreviewKey) -> Place | None:
        """Where a preview that waits stands now; None if it does not wait."""
        with self._lock:
            waiting = self._queue.get(key)
            return self._place_of(waiting) if waiting else None

    def _place_of(self, waiting: Waiting) -> Place | None:
        others = [
            each for each in self._holders.values() if each.key != waiting.key or waiting.is_there
        ]
        return place_of(waiting, self._queue.values(), others, self._server, self._projects)

    def leaves(self, key: PreviewKey) -> None:
        """This preview is gone, or no longer wants a place."""
        with self._lock:
            self._leaving.pop(key, None)
            self._reserved.discard(key)
            was_queued = self._queue.pop(key, None)
            held = self._holders.pop(key, None)
            waiting = list(self._queue) if held or was_queued else []
        self._enqueue(waiting)

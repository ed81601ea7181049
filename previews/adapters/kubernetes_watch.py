"""Keeps one kind of object up to date by list and watch: level-triggered, whatever the stream does.

A watch ends after a bounded time and is begun anew where it was; one that stays silent is held for dead; one that the
server cannot continue, or that says nonsense, is replaced by a list, and what the list lacks has gone. Now and then a
list is made anyway. What is known stays known meanwhile.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from secrets import SystemRandom
from threading import Event, Lock
from typing import Generic, Protocol, TypeVar

from previews.adapters.kubernetes_answers import BrokenStreamError, ExpiredError, Raw
from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI, Resource, WatchStream
from previews.errors import PreviewsError, TransientError


class Named(Protocol):
    """What is kept of an object."""

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...


T = TypeVar("T", bound=Named)


@dataclass(frozen=True, slots=True)
class Difference(Generic[T]):
    """One object as it was kept and as it is now; None where it did not or does not exist."""

    before: T | None
    after: T | None


class ObjectWatch(Generic[T]):
    """The objects of one kind that carry one label, reduced. `run` in one thread; the rest from any."""

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        resource: Resource,
        selector: str,
        reduce: Callable[[Raw], T],
        on_differences: Callable[[list[Difference[T]]], None],
        times: ClusterTimes,
    ) -> None:
        self._api = api
        self._resource = resource
        self._selector = selector
        self._reduce = reduce
        self._on_differences = on_differences
        self._times = times
        self._random = SystemRandom()
        self._lock = Lock()
        self._objects: dict[str, T] = {}
        self._listed = False
        self._stream: WatchStream | None = None
        self._problem: str | None = f"the first list of {resource.plural} is not complete"
        # Only `run` touches these.
        self._version = ""
        self._list_at = 0.0
        self._failures = 0

    @property
    def listed(self) -> bool:
        """Whether a list has ever been complete."""
        return self._listed

    @property
    def problem(self) -> str | None:
        """Why what is kept may be out of date."""
        return self._problem

    def get(self, name: str) -> T | None:
        with self._lock:
            return self._objects.get(name)

    def all(self) -> list[T]:
        with self._lock:
            return list(self._objects.values())

    def run(self, stop: Event) -> None:
        """Follow until `stop` is set, and `interrupt` called."""
        try:
            while not stop.is_set():
                self._list_and_follow(stop)
        finally:
            if not stop.is_set():
                # A bug ended it. Nobody shall take what is kept for the truth any more.
                self._listed = False
                self._problem = f"{self._resource.plural} are no longer watched: see the log"

    def _list_and_follow(self, stop: Event) -> None:
        try:
            if time.monotonic() >= self._list_at:
                self._list()
            self._follow(stop)
        except PreviewsError as error:
            if stop.is_set():
                return
            if isinstance(error, ExpiredError | BrokenStreamError):
                self._list_at = 0.0
            self._problem = f"{self._resource.plural} cannot be watched: {error.message}"
            stop.wait(self._pause_seconds(error))

    def interrupt(self) -> None:
        """End the read that `run` waits in."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def _list(self) -> None:
        found: dict[str, T] = {}
        for items, version in self._api.list_pages(self._resource, self._selector):
            self._version = version
            for raw in items:
                reduced = self._reduce(raw)
                found[reduced.name] = reduced
        with self._lock:
            before, self._objects = self._objects, found
        self._list_at = time.monotonic() + self._jittered(self._times.relist_seconds)
        self._listed = True
        self._problem = None
        self._report(
            [Difference(before.get(name), found.get(name)) for name in before.keys() | found.keys()]
        )

    def _follow(self, stop: Event) -> None:
        """Read one watch to its end."""
        seconds = self._jittered(self._times.watch_seconds)
        began_at = time.monotonic()
        with self._api.watch(
            self._resource, self._selector, version=self._version, seconds=seconds
        ) as stream:
            with self._lock:
                self._stream = stream
            try:
                self._problem = None
                # Checked after the stream can be interrupted: whoever stops sets it before he interrupts.
                if stop.is_set():
                    return
                for event in stream:
                    if stop.is_set():
                        return
                    self._take(event)
                    self._failures = 0
                    if time.monotonic() > began_at + seconds + self._times.silence_seconds:
                        # The server does not keep to the time that it was given.
                        return
            finally:
                with self._lock:
                    self._stream = None
        if time.monotonic() < began_at + seconds / 2:
            # In good order, but a server that does so at once would do so for ever.
            raise TransientError("ClusterUnreachable", "the watch was ended early")
        self._failures = 0

    def _take(self, event: Raw) -> None:
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            code, said = raw.get("code"), str(raw.get("message", ""))[:300]
            if code == HTTPStatus.GONE:
                raise ExpiredError("ClusterChanged", said)
            raise TransientError("ClusterAnswer", f"the watch ended with {code}: {said}")
        version = _version_of(raw)
        if version is None:
            raise BrokenStreamError("ClusterAnswer", "an event without a resourceVersion")
        if self._is_old(version):
            return
        self._version = version
        if kind == "BOOKMARK":
            return
        reduced = self._reduce(raw)
        with self._lock:
            before = self._objects.get(reduced.name)
            if kind != "DELETED":
                after = self._objects[reduced.name] = reduced
            elif before is not None and before.uid == reduced.uid:
                after = None
                del self._objects[reduced.name]
            else:
                # An object of this name that is gone already, or has been replaced.
                return
        self._report([Difference(before, after)])

    def _is_old(self, version: str) -> bool:
        """Whether it happened before what is known: versions of one kind rise."""
        with suppress(ValueError):
            return int(version) < int(self._version)
        return False

    def _report(self, differences: list[Difference[T]]) -> None:
        # What does not differ in what is kept, above all in its status, wakes nobody.
        real = [found for found in differences if found.before != found.after]
        self._on_differences(real)

    def _pause_seconds(self, error: PreviewsError) -> float:
        self._failures += 1
        longest = min(
            self._times.retry_seconds * 2.0 ** min(self._failures - 1, 20),
            self._times.retry_seconds_max,
        )
        asked_for = error.retry_after_seconds if isinstance(error, TransientError) else None
        return max(self._random.uniform(longest / 2, longest), asked_for or 0.0)

    def _jittered(self, seconds: float) -> float:
        """So that not all managers and kinds come back at one moment."""
        return seconds * self._random.uniform(0.8, 1.2)


def _version_of(raw: Raw) -> str | None:
    metadata = raw.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) and version else None

"""The inbox: deliveries wait for one thread, which stores all that are there in one durable transaction.

A delivery's future is done when it is on disk, so the door can answer 2xx. Under load one fsync serves many.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from previews.domain.ports import Store
from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery
from previews.errors import TransientError
from previews.reconcile.effects import Effect, Effects

CAPACITY = 2_000
"""Deliveries that may wait; beyond it the door says 503, and the forge or a resync makes up for it."""
BATCH_MAX = 200
"""Deliveries in one transaction, so that the first of a burst need not wait for the last."""
PACE_SECONDS = 0.01
"""Between the beginnings of two transactions: a burst is stored in a few, and a lone delivery at once."""
LULL_SECONDS = 0.01
"""With no delivery for this long, a burst is over."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    delivery: Delivery
    keys: Sequence[PreviewKey]
    stored: Future[bool] = field(default_factory=Future)


class Inbox:
    """`submit` from any thread. `on_stored` is called with the keys of what was new."""

    def __init__(
        self,
        store: Store,
        effects: Effects,
        on_stored: Callable[[Sequence[PreviewKey]], None],
        *,
        quiet: threading.Event | None = None,
    ) -> None:
        """`quiet` is kept set while no deliveries come."""
        self._store = store
        self._effects = effects
        self._on_stored = on_stored
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(CAPACITY)
        self._lock = threading.Lock()
        self._stopping = False
        self._not_before = 0.0
        self._quiet = quiet or threading.Event()
        self._quiet.set()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Accept no more, and store what waits."""
        with self._lock:
            self._stopping = True
        self._queue.put(None)
        self._thread.join()

    def __len__(self) -> int:
        """How many deliveries wait to be stored."""
        return self._queue.qsize()

    def submit(self, delivery: Delivery, keys: Sequence[PreviewKey]) -> Future[bool]:
        """The future says whether the delivery was new, or raises what kept it from being stored."""
        waiting = _Waiting(delivery, keys)
        # From here on it can no longer be cancelled: it is stored whether its sender waits for it or not.
        waiting.stored.set_running_or_notify_cancel()
        with self._lock:
            if self._stopping:
                return _refuse(waiting, "the manager is stopping")
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                return _refuse(waiting, f"{CAPACITY} deliveries are waiting to be stored already")
        return waiting.stored

    def _run(self) -> None:
        stopped = False
        while not stopped:
            batch, stopped = self._take()
            if batch:
                self._store_all(batch)
        self._quiet.set()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Wait for the first, and take all that is there when it is time; and whether that was the last."""
        batch: list[_Waiting] = []
        taken = self._wait_for_first()
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        self._not_before = time.monotonic() + PACE_SECONDS
        while taken is not None:
            batch.append(taken)
            if len(batch) == BATCH_MAX:
                return batch, False
            try:
                taken = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _wait_for_first(self) -> _Waiting | None:
        """Meanwhile it becomes quiet again: not between two deliveries of a burst, but when it is over."""
        try:
            taken = self._queue.get(timeout=LULL_SECONDS)
        except queue.Empty:
            self._quiet.set()
            taken = self._queue.get()
        self._quiet.clear()
        return taken

    def _store_all(self, batch: list[_Waiting]) -> None:
        try:
            answers = self._effects.perform(
                Effect.ACCEPT,
                f"{len(batch)} deliveries",
                lambda: self._store.accept([(waiting.delivery, waiting.keys) for waiting in batch]),
            )
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the thread serves the next
            for waiting in batch:
                waiting.stored.set_exception(error)
            return
        for waiting, is_new in zip(batch, answers, strict=True):
            waiting.stored.set_result(is_new)
        pairs = zip(batch, answers, strict=True)
        self._on_stored([key for waiting, is_new in pairs if is_new for key in waiting.keys])


def _refuse(waiting: _Waiting, why: str) -> Future[bool]:
    waiting.stored.set_exception(TransientError("InboxClosed", why))
    return waiting.stored

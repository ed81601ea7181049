"""Threads that work a queue: one key at a time each, errors sorted by what should be done about them.

A failing key backs off by itself and never holds up another (invariant 11).
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.queue import WorkQueue

K = TypeVar("K", bound=Hashable)

STALLED_LOOK_AGAIN_SECONDS = 300.0
"""What only a person can mend is looked at again this often, in case that they did."""

GIVE_WAY_SECONDS_MAX = 0.25
"""How long one key waits for deliveries to be stored, so that a steady stream of them does not stop the loop."""

_log = structlog.get_logger("previews.workers")


class Workers(Generic[K]):
    """`count` threads over one queue. `work` looks at a key; `on_error` shows its trouble to people."""

    def __init__(
        self,
        name: str,
        queue: WorkQueue[K],
        work: Callable[[K], None],
        on_error: Callable[[K, PreviewsError], None],
        count: int,
        *,
        quiet: threading.Event,
    ) -> None:
        """`quiet` is set while nobody waits who goes first."""
        self._queue = queue
        self._work = work
        self._on_error = on_error
        self._name = name
        self._quiet = quiet
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{index}", daemon=True)
            for index in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Let each thread finish what it is at. One that cannot in time is left behind."""
        self._queue.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_seconds)

    def _run(self) -> None:
        while (key := self._queue.take()) is not None:
            # All threads share one interpreter: without this a burst of deliveries waits for what its first ones began.
            self._quiet.wait(GIVE_WAY_SECONDS_MAX)
            self.work_one(key)

    def work_one(self, key: K) -> None:
        """Look at a key that was taken from the queue, and give it back."""
        try:
            self._work(key)
        except PreviewsError as error:
            self._failed(key, error)
        except Exception as error:  # noqa: BLE001 - a bug met by one key must not end the thread that serves all
            _log.exception("bug", worker=self._name, key=str(key))
            self._failed(key, TransientError("InternalError", f"a bug in previews: {error!r}"))
        else:
            self._queue.done(key)

    def _failed(self, key: K, error: PreviewsError) -> None:
        if isinstance(error, StalledError):
            self._queue.done(key)
            self._queue.add(key, after_seconds=STALLED_LOOK_AGAIN_SECONDS)
            retry_seconds = STALLED_LOOK_AGAIN_SECONDS
        else:
            asked = error.retry_after_seconds if isinstance(error, TransientError) else None
            retry_seconds = self._queue.done(key, failed=True, not_before_seconds=asked or 0.0)
        _log.warning(
            "failed",
            worker=self._name,
            key=str(key),
            reason=error.reason,
            message=error.message,
            retry_seconds=round(retry_seconds, 1),
        )
        try:
            self._on_error(key, error)
        except PreviewsError as second:
            _log.warning("not recorded", key=str(key), reason=second.reason, message=second.message)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("bug", worker=self._name, key=str(key))

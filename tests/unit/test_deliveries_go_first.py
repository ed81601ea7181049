"""All threads share one interpreter, so work on previews begins when no sender of a delivery waits for its answer."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from previews.domain.preview import PreviewKey
from previews.domain.record import Delivery, Verdict
from previews.errors import PreviewsError
from previews.reconcile.effects import Effects, LoggingWitness
from previews.reconcile.inbox import Inbox
from previews.reconcile.queue import WorkQueue
from previews.reconcile.workers import Workers
from tests.fakes.store import InMemoryStore

KEY = PreviewKey("shop", 42)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class SlowStore(InMemoryStore):
    """Its disk is slow: it says when it was asked, and answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.let_go = threading.Event()

    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        self.asked.set()
        self.let_go.wait()
        return super().accept(deliveries)


@contextmanager
def working(quiet: threading.Event, worked: threading.Event) -> Iterator[WorkQueue[PreviewKey]]:
    def work(_: PreviewKey) -> None:
        worked.set()

    def fail(_: PreviewKey, error: PreviewsError) -> None:
        raise error

    queue: WorkQueue[PreviewKey] = WorkQueue()
    workers = Workers("test", queue, work, fail, 1, quiet=quiet)
    workers.start()
    try:
        yield queue
    finally:
        workers.stop(10)


def test_it_is_not_quiet_while_a_delivery_waits_to_be_stored() -> None:
    quiet, store = threading.Event(), SlowStore()
    inbox = Inbox(store, Effects(LoggingWitness()), lambda _: None, quiet=quiet)
    inbox.start()
    assert quiet.is_set()
    first = inbox.submit(delivery("first"), [KEY])
    store.asked.wait()
    second = inbox.submit(delivery("second"), [KEY])
    assert not quiet.is_set()
    store.let_go.set()
    assert first.result()
    assert second.result()
    inbox.stop()
    assert quiet.is_set()


def test_a_key_is_worked_when_it_is_quiet() -> None:
    quiet, worked = threading.Event(), threading.Event()
    with working(quiet, worked) as queue:
        queue.add(KEY)
        quiet.set()
        worked.wait()


def test_deliveries_without_end_do_not_stop_the_loop() -> None:
    never_quiet, worked = threading.Event(), threading.Event()
    with working(never_quiet, worked) as queue:
        queue.add(KEY)
        worked.wait()


def delivery(guid: str) -> Delivery:
    return Delivery(
        guid=guid,
        received_at=NOW,
        event="pull_request",
        verdict=Verdict.ACCEPTED,
        reason="",
        body=b"",
    )

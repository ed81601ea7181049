import random
import threading

from previews.reconcile.queue import BACKOFF_MAX_SECONDS, WorkQueue


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_in_the_queue_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [queue.take(), queue.take()] == ["a", "b"]


def test_a_key_that_changes_while_it_is_worked_comes_again_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    queue.add("b")
    assert queue.take() == "b"
    queue.done("a")
    assert queue.take() == "a"


def test_the_earliest_due_comes_first_and_an_event_beats_a_delay() -> None:
    clock = Hand()
    queue: WorkQueue[str] = WorkQueue(monotonic=clock)
    queue.add("later", after_seconds=10)
    queue.add("soon", after_seconds=5)
    queue.add("later")
    assert queue.take() == "later"
    clock.now += 5
    assert queue.take() == "soon"
    queue.done("later")
    clock.now += 60
    queue.add("end")
    assert queue.take() == "end"


def test_only_what_a_thread_could_take_now_counts_as_due() -> None:
    clock = Hand()
    queue: WorkQueue[str] = WorkQueue(monotonic=clock)
    queue.add("in an hour", after_seconds=3600)
    queue.add("in work")
    queue.take()
    queue.add("in work")
    queue.add("now")
    assert queue.due() == 1
    queue.done("in work")
    assert queue.due() == 2


def test_a_failing_key_backs_off_ever_longer_and_starts_again_after_a_success() -> None:
    clock = Hand()
    queue: WorkQueue[str] = WorkQueue(monotonic=clock, jitter=random.Random(1))
    delays = []
    for _ in range(12):
        queue.add("a")
        assert queue.take() == "a"
        delays.append(queue.done("a", failed=True))
    assert delays[0] <= 0.5
    assert 30 <= delays[-1] <= 60
    queue.add("a")
    queue.take()
    queue.done("a")
    queue.add("a")
    queue.take()
    assert queue.done("a", failed=True) <= 0.5


def test_waits_as_long_as_the_outside_system_asked() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.take()
    assert queue.done("a", failed=True, not_before_seconds=77) == 77


def test_a_failing_key_holds_up_no_other() -> None:
    clock = Hand()
    queue: WorkQueue[str] = WorkQueue(monotonic=clock)
    queue.add("poisoned")
    queue.take()
    queue.done("poisoned", failed=True)
    queue.add("healthy")
    assert queue.take() == "healthy"


def test_closing_wakes_everyone_who_waits() -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken: list[str | None] = []
    threads = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(10)
    assert taken == [None, None, None]


def test_one_key_is_never_in_two_hands() -> None:
    queue: WorkQueue[int] = WorkQueue()
    working: set[int] = set()
    twice: list[int] = []
    worked: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.take()) is not None:
            with lock:
                if key in working:
                    twice.append(key)
                working.add(key)
            with lock:
                working.discard(key)
                worked.append(key)
                finished = len(worked) >= 500
            queue.done(key)
            if finished:
                queue.close()
            else:
                queue.add(key)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for key in range(4):
        queue.add(key)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not twice
    assert len(worked) >= 500


def test_a_key_that_fails_for_days_is_tried_once_a_minute_to_the_end() -> None:
    clock = Hand()
    queue: WorkQueue[str] = WorkQueue(monotonic=clock)
    queue.add("a")
    delays = []
    for _ in range(3_000):
        assert queue.take() == "a"
        delays.append(queue.done("a", failed=True))
        clock.now += delays[-1]
    assert max(delays) <= BACKOFF_MAX_SECONDS
    assert min(delays[10:]) >= BACKOFF_MAX_SECONDS / 2

"""A changed template reaches previews a few at a time, and stops by itself when it breaks them."""

from collections.abc import Iterable

from previews.domain.preview import PreviewKey
from previews.reconcile.rollout import Rollout


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


class Queue:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def add(self, keys: Iterable[PreviewKey]) -> None:
        self.asked += [each.number for each in keys]


def rollout_of(at_most: int) -> tuple[Rollout, Queue]:
    queue = Queue()
    return Rollout(at_most, queue.add), queue


def test_no_more_than_so_many_are_rewritten_at_a_time() -> None:
    rollout, _ = rollout_of(2)
    assert [rollout.may_rewrite(key(number)) for number in range(4)] == [True, True, False, False]
    assert rollout.may_rewrite(key(0)), "whoever has a place keeps it"
    assert rollout.waiting() == 2


def test_one_that_is_well_makes_room_and_those_that_wait_are_looked_at() -> None:
    rollout, queue = rollout_of(1)
    for number in range(3):
        rollout.may_rewrite(key(number))
    rollout.is_under_way(key(0), fails=False)
    assert not rollout.may_rewrite(key(1))
    rollout.settled(key(0))
    assert queue.asked == [1]
    assert rollout.may_rewrite(key(1))
    assert not rollout.may_rewrite(key(2))


def test_those_that_are_not_well_keep_their_places() -> None:
    rollout, queue = rollout_of(2)
    for number in range(4):
        rollout.may_rewrite(key(number))
    for number in range(2):
        rollout.is_under_way(key(number), fails=True)
    assert rollout.failing() == 2
    assert not rollout.may_rewrite(key(2))
    assert queue.asked == []


def test_one_that_gets_well_after_all_makes_room() -> None:
    rollout, queue = rollout_of(1)
    rollout.may_rewrite(key(0))
    rollout.may_rewrite(key(1))
    rollout.is_under_way(key(0), fails=True)
    rollout.is_under_way(key(0), fails=False)
    assert rollout.failing() == 0
    rollout.settled(key(0))
    assert queue.asked == [1]


def test_somebody_accepts_those_that_are_not_well_and_it_goes_on() -> None:
    rollout, queue = rollout_of(1)
    for number in range(3):
        rollout.may_rewrite(key(number))
    rollout.is_under_way(key(0), fails=True)
    rollout.go_on()
    assert queue.asked == [1, 2]
    assert rollout.may_rewrite(key(1))
    assert not rollout.may_rewrite(key(2))


def test_what_a_former_process_rewrote_counts() -> None:
    rollout, _ = rollout_of(1)
    rollout.is_under_way(key(0), fails=False)
    assert not rollout.may_rewrite(key(1))
    assert rollout.may_rewrite(key(0))


def test_whoever_is_gone_waits_no_more() -> None:
    rollout, queue = rollout_of(1)
    rollout.may_rewrite(key(0))
    rollout.may_rewrite(key(1))
    rollout.settled(key(1))
    assert rollout.waiting() == 0
    assert queue.asked == [], "it had no place to give"


def test_whoever_does_not_ask_again_when_it_is_looked_at_waits_no_more() -> None:
    rollout, _ = rollout_of(1)
    for number in range(3):
        rollout.may_rewrite(key(number))
    with rollout.looked_at(key(1)):
        pass
    with rollout.looked_at(key(2)):
        rollout.may_rewrite(key(2))
    assert rollout.waiting() == 1


def test_a_place_that_the_first_does_not_take_is_for_the_next() -> None:
    rollout, queue = rollout_of(1)
    for number in range(3):
        rollout.may_rewrite(key(number))
    rollout.settled(key(0))
    assert queue.asked == [1]
    with rollout.looked_at(key(1)):
        pass
    assert queue.asked == [1, 2]
    with rollout.looked_at(key(2)):
        assert rollout.may_rewrite(key(2))
    assert queue.asked == [1, 2], "nobody is left"

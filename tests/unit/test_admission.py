"""Who has a place, remembered between one question and the next."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from previews.domain.caps import Caps, Holder, Waiting
from previews.domain.preview import PreviewKey
from previews.reconcile.admission import Admission

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def waiting(number: int, *, sleeps: bool = False) -> Waiting:
    return Waiting(
        key=key(number), author="alice", since=NOON + timedelta(minutes=number), is_there=sleeps
    )


def holder(number: int, *, awake: bool = True, pinned: bool = False) -> Holder:
    used = NOON + timedelta(minutes=number)
    return Holder(key=key(number), author="alice", is_awake=awake, is_pinned=pinned, last_use=used)


class Gate:
    """An admission with its queue of keys to look at."""

    def __init__(self, caps: Caps, *, evicts: bool = False) -> None:
        self.asked: list[int] = []
        self.admission = Admission(Caps(), {"shop": caps}, evicts=evicts, enqueue=self._add)

    def _add(self, keys: Iterable[PreviewKey]) -> None:
        self.asked += [each.number for each in keys]

    def number(self, number: int, *, sleeps: bool = False) -> int | None:
        """The place in the queue of whoever asks."""
        found = self.admission.ask(waiting(number, sleeps=sleeps))
        return found.number if found else None


def test_without_limits_everybody_is_let_in_and_nothing_is_kept() -> None:
    gate = Gate(Caps())
    assert [gate.number(number) for number in range(100)] == [None] * 100
    assert gate.admission.place(key(1)) is None


def test_a_place_is_held_from_the_answer_on_and_asking_again_changes_nothing() -> None:
    gate = Gate(Caps(previews=1))
    assert [gate.number(1), gate.number(1), gate.number(2), gate.number(1)] == [None, None, 1, None]


def test_whoever_waits_is_looked_at_when_a_place_gets_free_and_the_first_gets_it() -> None:
    gate = Gate(Caps(previews=1))
    gate.number(1)
    assert [gate.number(3), gate.number(2)] == [1, 1]
    assert gate.number(3) == 2
    gate.admission.leaves(key(1))
    assert sorted(gate.asked) == [2, 3]
    assert gate.number(3) == 1, "it is the other's turn"
    assert gate.number(2) is None


def test_the_place_of_whoever_waits_is_known_without_asking() -> None:
    gate = Gate(Caps(previews=1))
    gate.number(1)
    gate.number(2)
    gate.number(3)
    found = gate.admission.place(key(3))
    assert found is not None
    assert (found.number, found.full) == (2, "1 previews of project shop")
    assert gate.admission.place(key(1)) is None


def test_whoever_falls_asleep_frees_a_place_among_the_awake() -> None:
    gate = Gate(Caps(awake=1))
    gate.admission.holds(holder(1))
    gate.admission.holds(holder(2, awake=False))
    assert gate.number(2, sleeps=True) == 1
    gate.admission.holds(holder(1, awake=False))
    assert gate.asked == [2]
    assert gate.number(2, sleeps=True) is None
    assert gate.number(1, sleeps=True) == 1


def test_a_wish_to_be_awake_that_is_taken_back_holds_up_nobody() -> None:
    gate = Gate(Caps(awake=1))
    for number in (1, 2, 3):
        gate.admission.holds(holder(number, awake=number == 1))
    assert [gate.number(2, sleeps=True), gate.number(3, sleeps=True)] == [1, 2]
    gate.admission.holds(holder(2, awake=False))
    assert gate.number(3, sleeps=True) == 1


@pytest.mark.parametrize("evicts", [True, False])
def test_only_where_it_is_wanted_somebody_makes_room(*, evicts: bool) -> None:
    gate = Gate(Caps(previews=1), evicts=evicts)
    gate.admission.holds(holder(1, awake=False))
    found = gate.admission.ask(waiting(2))
    assert found is not None
    assert found.to_evict == (key(1) if evicts else None)


def test_while_one_is_on_its_way_out_no_other_is_asked_to_make_room() -> None:
    gate = Gate(Caps(previews=2), evicts=True)
    gate.admission.holds(holder(1, awake=False))
    gate.admission.holds(holder(2, awake=False))
    first = gate.admission.ask(waiting(3))
    assert first is not None
    assert first.to_evict == key(1)
    gate.admission.holds(holder(1, awake=False))
    again = gate.admission.ask(waiting(3))
    assert again is not None
    assert again.to_evict in {None, key(1)}

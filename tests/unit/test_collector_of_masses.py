"""However many orphans there seem to be, a sweep removes few, and a person confirms the rest."""

from datetime import timedelta

import pytest

from previews.domain.inventory import Verdict
from previews.domain.preview import PreviewKey
from previews.reconcile.collector import ASKED_MAX
from tests.unit.yard import A_WHILE, REPOSITORY, Yard


@pytest.fixture
def yard() -> Yard:
    return Yard()


def test_more_orphans_than_five_sweeps_take_are_removed_only_by_a_person(yard: Yard) -> None:
    yard.start(per_sweep=2)
    for _ in range(20):
        yard.crowd()
    for _ in range(4):
        yard.leave()
    held = yard.sweep_twice()
    assert (held.planned, held.removed) == ((), ())
    assert (
        held.held == "12 of 92 are orphans at once: nothing is removed until a person confirms it"
    )
    assert held.needs_confirmation
    assert yard.sweep(actor="previews", confirmed=True).removed == (), "that is no person"
    confirmed = yard.sweep(actor="maria", confirmed=True)
    assert len(confirmed.removed) == 2
    assert confirmed.actor == "maria"
    yard.sweep(actor="maria", confirmed=True)
    assert len(yard.sweep().removed) == 2, "ten are none any more"


def test_most_of_everything_is_removed_only_by_a_person(yard: Yard) -> None:
    wanted = yard.open()
    yard.branch.keys.add(wanted)
    for _ in range(3):
        yard.leave()
    held = yard.sweep_twice()
    assert held.removed == ()
    assert held.held.startswith("9 of 13 are orphans at once")
    assert len(yard.sweep(actor="maria", confirmed=True).removed) == 3


def test_a_sweep_removes_no_more_than_its_share_and_the_oldest_first(yard: Yard) -> None:
    yard.start(per_sweep=3)
    yard.crowd()
    first = [yard.leave() for _ in range(2)]
    yard.sweep()
    yard.clock.move(timedelta(minutes=5))
    for _ in range(3):
        yard.leave()
    yard.sweep()
    yard.clock.move(A_WHILE)
    removed_now = yard.sweep().removed
    assert len(removed_now) == 3
    assert {each.owned.owner for each in removed_now} >= set(first)


def test_of_too_many_only_some_are_asked_for_and_none_is_removed(yard: Yard) -> None:
    for number in range(1, ASKED_MAX + 5):
        yard.cluster.put_namespace(f"n{number}", PreviewKey("shop", number))
        yard.forge.close(REPOSITORY, yard.forge.open_pull_request(REPOSITORY, "b", "t"))
    held = yard.sweep_twice()
    assert held.removed == ()
    assert len([call for call in yard.forge.calls if "fetch" in call]) == 2 * ASKED_MAX
    assert sum(each.verdict is Verdict.UNKNOWN for each in held.found) == 4

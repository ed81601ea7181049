"""Somebody presses the button beside a check: the forge shows it as queued until we have said again how it stands.

A branch rule may require it. So whatever happens meanwhile, it is said again, whether or not who pressed it may.
"""

from dataclasses import replace

import pytest

from previews.domain.feedback import CheckState
from previews.domain.policy import Policy, Trigger
from previews.domain.preview import Phase
from previews.errors import TransientError
from previews.reconcile.effects import Effect
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project
from tests.unit.lives import expect_quiet

STRANGER = "stranger"


def reset(town: Town, number: int) -> None:
    """What the forge does with the check on the head."""
    (held,) = town.forge.check_runs(REPOSITORY, head_of(town, number))
    town.forge.put_check(REPOSITORY, replace(held.check, state=CheckState.QUEUED), held.id)


def press(town: Town, number: int) -> None:
    """Somebody who may not write, so that nothing is deployed that would be told of anyway."""
    reset(town, number)
    town.manager.press(town.pressed(number, by=STRANGER))


def head_of(town: Town, number: int) -> str:
    return town.forge.pull_request(REPOSITORY, number).head_sha


def state_of(town: Town, number: int) -> CheckState:
    (held,) = town.forge.check_runs(REPOSITORY, head_of(town, number))
    return held.check.state


def live(town: Town) -> int:
    number = town.open()
    town.settle()
    assert state_of(town, number) is CheckState.SUCCESS
    return number


class PressesOnce(CountingWitness):
    """Somebody presses it at one effect."""

    town: Town
    armed: frozenset[Effect] = frozenset()

    def arm(self, effect: Effect) -> None:
        self.armed = frozenset({effect})

    def after(self, effect: Effect, subject: str) -> None:
        super().after(effect, subject)
        if effect in self.armed:
            self.armed = frozenset()
            press(self.town, 1)


class FailsOnce(CountingWitness):
    """The store is locked by another hand at one effect."""

    armed: frozenset[Effect] = frozenset()

    def arm(self, effect: Effect) -> None:
        self.armed = frozenset({effect})

    def before(self, effect: Effect, subject: str) -> None:
        super().before(effect, subject)
        if effect in self.armed:
            self.armed = frozenset()
            raise TransientError("StoreUnavailable", "database is locked")


def test_a_press_is_answered_once() -> None:
    town = Town(is_app=True)
    number = live(town)
    calls = len(town.forge.writes)
    press(town, number)
    town.settle()
    assert state_of(town, number) is CheckState.SUCCESS
    assert len(town.forge.writes) == calls + 1
    expect_quiet(town)


@pytest.mark.parametrize("at", [Effect.SET_CHECK, Effect.RECORD_PUBLISHED])
def test_a_second_press_while_the_first_is_answered_is_answered_too(at: Effect) -> None:
    witness = PressesOnce()
    town = witness.town = Town(witness=witness, is_app=True)
    number = live(town)
    witness.arm(at)
    press(town, number)
    town.settle()
    assert not witness.armed
    assert state_of(town, number) is CheckState.SUCCESS
    expect_quiet(town)


def test_a_press_while_the_preview_passes_through_something_is_answered_when_it_is_live() -> None:
    """It is over within a second, and within the minute that the check shows: all reads as it did before."""
    town = Town(is_app=True)
    number = town.open()
    town.settle(10)
    (before,) = town.forge.check_runs(REPOSITORY, head_of(town, number))
    town.cluster.put_application(f"shop-pr-{number}", health="Progressing")
    town.settle(0.2)
    assert town.phase(number) is Phase.DEPLOYING
    press(town, number)
    town.settle(0.2)
    town.cluster.put_application(f"shop-pr-{number}", health="Healthy")
    town.settle(10)
    assert town.phase(number) is Phase.LIVE
    (after,) = town.forge.check_runs(REPOSITORY, head_of(town, number))
    assert after.check == before.check


def test_a_press_is_answered_although_the_store_could_not_be_written_to() -> None:
    witness = FailsOnce()
    town = Town(witness=witness, is_app=True)
    number = live(town)
    witness.arm(Effect.RECORD_PUBLISHED)
    press(town, number)
    town.settle()
    assert not witness.armed
    assert state_of(town, number) is CheckState.SUCCESS


def test_a_press_is_answered_by_the_next_process_if_this_one_came_no_further_than_to_finish_it() -> (
    None
):
    town = Town(is_app=True)
    number = live(town)
    press(town, number)
    place = town.loop.queues.conversations.take_due()
    assert place is not None
    town.loop.listeners.work_one(place)
    assert town.store.unfinished_deliveries() == []
    town.start()
    town.settle()
    assert state_of(town, number) is CheckState.SUCCESS
    expect_quiet(town)


def test_a_press_is_answered_by_the_next_process_if_the_forge_was_away_until_then() -> None:
    town = Town(is_app=True)
    number = live(town)
    town.forge.fail(UNREACHABLE, on="ensure_check")
    press(town, number)
    town.settle()
    town.forge.heal()
    town.start()
    town.settle()
    assert state_of(town, number) is CheckState.SUCCESS


def test_a_press_beside_what_never_was_is_answered() -> None:
    wanted = Policy(trigger=Trigger.LABEL, labels_any=("preview",))
    town = Town([project("shop", policy=wanted)], is_app=True)
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    assert state_of(town, number) is CheckState.NEUTRAL
    press(town, number)
    town.settle()
    assert state_of(town, number) is CheckState.NEUTRAL

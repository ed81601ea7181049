"""The clock was ahead for a while, and is right again: nothing waits for what happened in that future."""

from datetime import timedelta

from previews.domain.preview import Phase
from tests.unit.lives import DAY, HOUR, town_of


def test_a_wait_that_began_in_the_future_ends() -> None:
    town = town_of()
    town.clock.wrong_by = timedelta(days=30)
    number = town.open(image=False)
    town.settle(1)
    town.clock.wrong_by = timedelta(0)
    town.resync()
    town.settle(DAY)
    assert town.phase(number) is Phase.WAITING_FOR_IMAGE
    assert town.record(number).failed


def test_the_registry_is_asked_again_that_was_down_in_the_future() -> None:
    town = town_of()
    town.clock.wrong_by = timedelta(hours=12)
    town.registry.is_unreachable = True
    number = town.open()
    town.settle()
    town.clock.wrong_by = timedelta(0)
    town.registry.is_unreachable = False
    town.resync()
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE

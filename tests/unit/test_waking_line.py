"""Those that wait to wake go on, whatever becomes of the one that is first."""

from previews.domain.caps import Caps
from previews.domain.preview import Phase
from previews.errors import StalledError
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import HOUR, MINUTE, key_of, town_of


def two_wait_to_wake() -> Town:
    """Number 3 is awake, which one may be; 1 and 2 wait for that, in this order."""
    town = town_of(server=Caps(awake=1))
    for number in (1, 2):
        town.open()
        town.settle()
        town.loop.actions.sleep(key_of(number), actor="alice")
        town.settle()
    town.open()
    town.settle()
    for number in (1, 2):
        town.loop.actions.wake(key_of(number), actor="alice")
        town.settle()
        town.clock.seconds += MINUTE
    assert [town.phase(number) for number in (1, 2, 3)] == [
        Phase.ASLEEP,
        Phase.ASLEEP,
        Phase.LIVE,
    ]
    return town


def make_room(town: Town) -> None:
    town.loop.actions.sleep(key_of(3), actor="alice")
    town.settle(HOUR)


def test_the_first_that_asked_wakes_first() -> None:
    town = two_wait_to_wake()
    make_room(town)
    assert [town.phase(number) for number in (1, 2)] == [Phase.LIVE, Phase.ASLEEP]


def test_one_whose_pull_request_cannot_be_read_holds_up_nobody() -> None:
    town = two_wait_to_wake()
    town.forge.fail(StalledError("ForgeAnswer", "cannot be read"), on=f"{REPOSITORY}#1")
    town.deliver(1)
    town.settle()
    make_room(town)
    assert town.phase(2) is Phase.LIVE


def test_one_that_is_closed_and_does_not_go_holds_up_nobody() -> None:
    town = two_wait_to_wake()
    town.cluster.hold("shop-pr-1", "stuck")
    town.close(1)
    town.deliver(1)
    town.settle()
    make_room(town)
    assert [town.phase(number) for number in (1, 2)] == [Phase.REMOVING, Phase.LIVE]

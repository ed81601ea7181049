"""When people are told of what takes long, as the manager's stories on fakes show it."""

from datetime import timedelta

from previews.domain.record import StatusState
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import DAY, DAYS_3, HOUR, MINUTE, key_of, town_of


def pending(town: Town, number: int) -> list[str]:
    head_sha = town.forge.pull_request(REPOSITORY, number).head_sha
    return [
        status.description
        for status in town.forge.statuses(REPOSITORY, head_sha)
        if status.state is StatusState.PENDING
    ]


def test_a_restart_does_not_begin_the_wait_of_a_long_removal_anew() -> None:
    """It comes back within the hour that it waits by then: what it passes through is over before it is told."""
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.cluster.hold(f"preview-shop-pr-{number}", "a finalizer")
    town.settle(3 * DAY + MINUTE)
    said = pending(town, number)
    assert [line.partition(":")[0] for line in said] == ["Removing"]
    town.start()
    town.settle(HOUR)
    town.loop.actions.extend(key_of(number), timedelta(hours=3), actor="ann")
    town.settle(MINUTE - 10)
    town.cluster.let_go(f"preview-shop-pr-{number}")
    town.settle()
    assert pending(town, number) == said

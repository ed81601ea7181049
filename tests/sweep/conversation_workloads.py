"""Workloads in which people say what they want on the pull request: one function for each, as in `workloads`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from previews.domain.lifetime import LifetimePolicy
from previews.domain.policy import Forks, Policy, Trigger
from previews.reconcile.effects import Effect
from tests.fakes.forge_things import DEVELOPER
from tests.fakes.surroundings import REPOSITORY, project
from tests.sweep.struck_town import StruckTown

SHOP = project("shop")
LIVES_AN_HOUR = replace(SHOP, lifetime=LifetimePolicy(ttl=timedelta(hours=1)))
ON_COMMAND = replace(SHOP, policy=Policy(trigger=Trigger.COMMAND))
LETS_FORKS_IN = replace(SHOP, policy=Policy(forks=Forks.APPROVE))


def sleep_by_command(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.say(number, "/preview sleep")


def extend_by_command(town: StruckTown) -> None:
    """The same comment read twice must not add up."""
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.come_to_rest()
    town.say(number, "/preview extend 3h")
    town.settle(2 * 3600)


def be_refused(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.say(number, "/preview extend 3h")
    town.say(number, "/preview sleep", author="a-stranger")


def ask_for_help(town: StruckTown) -> None:
    number = town.open()
    town.come_to_rest()
    town.say(number, "/preview help")


def ask_for_a_preview(town: StruckTown) -> None:
    town.restart_with(ON_COMMAND)
    number = town.open()
    town.come_to_rest()
    town.say(number, "/preview")


def approve_a_fork(town: StruckTown) -> None:
    town.restart_with(LETS_FORKS_IN)
    number = town.forge.open_pull_request(REPOSITORY, author="a-stranger", from_fork=True)
    town.push_image(number)
    town.deliver(number)
    town.come_to_rest()
    town.say(number, "/preview approve")


def say_it_unheard(town: StruckTown) -> None:
    """The webhook is lost: a resync finds that something was said."""
    number = town.open()
    town.come_to_rest()
    town.forge.comment(REPOSITORY, number, "/preview remove", author=DEVELOPER)
    town.resync()


CONVERSATION_WORKLOADS: tuple[Callable[[StruckTown], None], ...] = (
    sleep_by_command,
    extend_by_command,
    be_refused,
    ask_for_help,
    ask_for_a_preview,
    approve_a_fork,
    say_it_unheard,
)
CONVERSATION_EFFECTS = frozenset(
    {Effect.ACT, Effect.REACT, Effect.REPLY, Effect.RECORD_COMMENTS_READ, Effect.MARK_FOR_FETCH}
)

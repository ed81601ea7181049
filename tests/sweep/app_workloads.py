"""Workloads of a manager that the forge knows as a GitHub App: check runs, deployments, what could not be delivered."""

from collections.abc import Callable

from previews.reconcile.effects import Effect
from tests.fakes.surroundings import REPOSITORY, project
from tests.sweep.struck_town import StruckTown


def _begin(town: StruckTown) -> int:
    """A live preview with a check run and a deployment."""
    town.become_app()
    number = town.open()
    town.come_to_rest()
    return number


def open_under_an_app(town: StruckTown) -> None:
    town.become_app()
    town.open()


def push_under_an_app(town: StruckTown) -> None:
    town.push(_begin(town))


def close_under_an_app(town: StruckTown) -> None:
    number = _begin(town)
    town.push(number)
    town.come_to_rest()
    town.close(number)


def reopen_under_an_app(town: StruckTown) -> None:
    number = _begin(town)
    town.close(number)
    town.settle(2)
    town.reopen(number)


def drain_under_an_app(town: StruckTown) -> None:
    town.become_app()
    town.restart_with(project("shop"), project("api"))
    town.open()
    town.come_to_rest()
    town.restart_with(project("api"))
    town.come_to_rest()
    town.act("drain", "shop", actor="ann")


def press_the_button(town: StruckTown) -> None:
    """What it asks for stands nowhere but in its one delivery."""
    number = _begin(town)
    town.press_the_button(number)


def hear_of_it_later(town: StruckTown) -> None:
    """A delivery that failed: the forge's own list has it."""
    town.become_app()
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.lose_a_delivery()
    town.resync()


APP_WORKLOADS: tuple[Callable[[StruckTown], None], ...] = (
    open_under_an_app,
    push_under_an_app,
    close_under_an_app,
    reopen_under_an_app,
    drain_under_an_app,
    hear_of_it_later,
    press_the_button,
)
BUTTON_EFFECTS = frozenset({Effect.ACCEPT, Effect.ACT, Effect.CLEAR_MARK, Effect.SET_CHECK})

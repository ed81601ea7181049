"""Commits that were overtaken while something pending was said of them: it ends, and the new head waits for none."""

import pytest

from previews.domain.feedback import CheckState
from previews.domain.record import StatusState
from previews.reconcile.former_heads import TRIED_FOR
from tests.fakes.forge import REFUSED, UNREACHABLE
from tests.fakes.town import REPOSITORY, Town
from tests.unit.lives import expect_quiet

SUPERSEDED = {False: StatusState.FAILURE, True: CheckState.NEUTRAL}
SUCCESS = {False: StatusState.SUCCESS, True: CheckState.SUCCESS}
both = pytest.mark.parametrize("is_app", [False, True])


def said_of(town: Town, head_sha: str, *, is_app: bool) -> list[str]:
    """All that was said of a commit, the oldest first; of check runs, how each stands."""
    if is_app:
        return [each.check.state for each in town.forge.check_runs(REPOSITORY, head_sha)]
    return [each.state for each in town.forge.statuses(REPOSITORY, head_sha)]


def head_of(town: Town, number: int) -> str:
    return town.forge.pull_request(REPOSITORY, number).head_sha


def waiting(*, is_app: bool) -> tuple[Town, int, str]:
    """A pull request whose head waits for its image."""
    town = Town(is_app=is_app)
    number = town.open(image=False)
    town.settle()
    return town, number, head_of(town, number)


def ending(head_sha: str, *, is_app: bool) -> str:
    """The call by which it would end."""
    return f"{head_sha} preview/shop {SUPERSEDED[is_app]}"


def tried(town: Town, head_sha: str, *, is_app: bool) -> int:
    """How often it was to end."""
    return sum(ending(head_sha, is_app=is_app) in each for each in town.forge.calls)


@both
def test_the_head_does_not_wait_for_a_commit_of_which_nothing_can_be_said(*, is_app: bool) -> None:
    """As at Gitea, which answers 500 for a commit that it has lost."""
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(UNREACHABLE, on=ending(old, is_app=is_app))
    town.push(number)
    town.settle(3)
    assert said_of(town, head_of(town, number), is_app=is_app)[-1] == SUCCESS[is_app]


@both
def test_what_is_said_of_it_ends_when_the_forge_is_there_again_whoever_runs_then(
    *, is_app: bool
) -> None:
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(UNREACHABLE, on=ending(old, is_app=is_app))
    town.push(number)
    town.settle(3600)
    town.start()
    town.settle(3600)
    town.forge.heal()
    town.settle(120)
    assert said_of(town, old, is_app=is_app)[-1] == SUPERSEDED[is_app]
    expect_quiet(town)


@both
def test_all_of_them_end_when_several_were_overtaken_meanwhile(*, is_app: bool) -> None:
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(UNREACHABLE, on=ending(old, is_app=is_app))
    town.push(number, image=False)
    town.settle()
    second = head_of(town, number)
    town.push(number)
    town.settle()
    assert said_of(town, second, is_app=is_app)[-1] == SUPERSEDED[is_app]
    town.forge.heal()
    town.settle(120)
    assert said_of(town, old, is_app=is_app)[-1] == SUPERSEDED[is_app]


@both
def test_one_that_is_the_head_again_is_not_said_to_be_overtaken(*, is_app: bool) -> None:
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(UNREACHABLE, on=ending(old, is_app=is_app))
    town.push(number)
    town.settle()
    town.forge.heal()
    town.forge.push(REPOSITORY, number, old)
    town.push_image(number)
    town.deliver(number)
    town.settle(600)
    assert head_of(town, number) == old
    assert said_of(town, old, is_app=is_app)[-1] == SUCCESS[is_app]


@both
def test_what_the_forge_refuses_is_tried_once(*, is_app: bool) -> None:
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(REFUSED, on=ending(old, is_app=is_app))
    town.push(number)
    town.settle(3600)
    assert tried(town, old, is_app=is_app) == 1


@both
def test_what_it_does_not_answer_is_not_tried_for_ever(*, is_app: bool) -> None:
    town, number, old = waiting(is_app=is_app)
    town.forge.fail(UNREACHABLE, on=ending(old, is_app=is_app))
    town.push(number)
    town.settle()
    town.clock.seconds += TRIED_FOR.total_seconds()
    town.settle()
    before = tried(town, old, is_app=is_app)
    assert before > 1
    town.settle(3600)
    assert tried(town, old, is_app=is_app) == before
    expect_quiet(town)

"""The button that runs all checks of a commit again, and buttons of which nothing comes: none is heard for ever."""

from dataclasses import replace

import pytest

from previews.app_news import hear
from previews.domain.feedback import CheckState
from previews.domain.policy import Forks, Policy
from previews.domain.preview import HeadSha, Phase
from previews.domain.record import Delivery
from previews.web.talk import RERUN_ACTION, RerunPayload, keep_rerun, recall_rerun
from tests.fakes.forge_things import DEVELOPER
from tests.fakes.surroundings import INSTANCE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.lives import MINUTE, happened
from tests.unit.test_publisher import checks_of

STRANGER = "stranger"


@pytest.fixture
def town() -> Town:
    return Town([project("shop", policy=Policy(forks=Forks.APPROVE))], is_app=True)


def open_from_fork(town: Town) -> int:
    """A stranger opens it, and somebody who may lets it run."""
    number = town.forge.open_pull_request(REPOSITORY, author=STRANGER, from_fork=True)
    town.push_image(number)
    town.deliver(number)
    town.settle(MINUTE)
    town.forge.comment(REPOSITORY, number, "/preview approve", author=DEVELOPER)
    town.manager.hear((REPOSITORY, number))
    town.settle()
    assert town.phase(number) is Phase.LIVE
    return number


def all_again(town: Town, head_sha: HeadSha, *, by: str = DEVELOPER) -> Delivery:
    """What GitHub says of a commit of a fork: no pull request."""
    said = RerunPayload.model_validate(
        {
            "action": RERUN_ACTION,
            "repository": {"full_name": REPOSITORY},
            "check_suite": {"head_sha": head_sha, "pull_requests": []},
            "sender": {"login": by},
        }
    )
    return replace(town.delivery(), event="check_suite", body=keep_rerun(said))


def press_all_again(town: Town, number: int, *, by: str = DEVELOPER) -> None:
    """GitHub shows the checks as queued from then on."""
    (shown,) = checks_of(town, number)
    town.forge.put_check(REPOSITORY, replace(shown.check, state=CheckState.QUEUED), shown.id)
    town.manager.press(all_again(town, head_of(town, number), by=by))


def head_of(town: Town, number: int) -> HeadSha:
    return town.forge.pull_request(REPOSITORY, number).head_sha


def states_of(town: Town, number: int) -> list[CheckState]:
    return [each.check.state for each in checks_of(town, number)]


def redeployed(town: Town, number: int) -> int:
    return happened(town, number).count("Redeploy")


def test_all_checks_of_a_forks_commit_are_those_of_the_previews_that_have_it(town: Town) -> None:
    other, number = town.open(), open_from_fork(town)
    assert states_of(town, number) == [CheckState.SUCCESS]

    press_all_again(town, number)
    town.settle()

    assert redeployed(town, number) == 1
    assert redeployed(town, other) == 0
    assert states_of(town, number) == [CheckState.SUCCESS]
    assert town.store.unfinished_deliveries() == []


def test_all_checks_of_a_forks_commit_are_said_again_for_those_who_may_not(town: Town) -> None:
    number = open_from_fork(town)

    press_all_again(town, number, by=STRANGER)
    town.settle()

    assert redeployed(town, number) == 0
    assert states_of(town, number) == [CheckState.SUCCESS]
    assert town.store.unfinished_deliveries() == []


def test_a_press_on_a_forks_commit_outlives_the_process(town: Town) -> None:
    number = open_from_fork(town)
    town.store.accept([(all_again(town, head_of(town, number)), [])])

    town.start()
    town.settle()

    assert redeployed(town, number) == 1
    assert town.store.unfinished_deliveries() == []


def test_a_commit_is_looked_for_in_its_own_repository_only() -> None:
    town = Town([project("shop"), project("other", "acme/other")], is_app=True)
    number = town.open()
    town.settle()
    there = town.forge.open_pull_request("acme/other", head_sha=head_of(town, number))
    town.push_image(there, "other")
    town.deliver(there, "other")
    town.settle()
    assert town.record(there, "other").pull_request is not None

    press_all_again(town, number)
    town.settle()

    assert redeployed(town, number) == 1
    assert "Redeploy" not in [e.action for e in town.store.history(town.record(there, "other").key)]


@pytest.mark.parametrize(
    "external_id", [b"previews:other:shop#1", b"previews:acme:shop", b"previews:acme:gone#1"]
)
def test_the_button_of_no_preview_of_ours_is_done_with_at_once(
    town: Town, external_id: bytes
) -> None:
    number = town.open()
    town.settle()
    pressed = town.pressed(number, by=DEVELOPER)
    body = pressed.body.replace(b"previews:acme:shop#1", external_id)
    assert body != pressed.body

    town.manager.press(replace(pressed, body=body))

    assert town.store.unfinished_deliveries() == []
    town.settle()
    assert redeployed(town, number) == 0


def test_a_commit_that_no_preview_has_is_done_with_at_once(town: Town) -> None:
    number = town.open()
    town.settle()

    town.manager.press(all_again(town, HeadSha("f" * 40)))

    assert town.store.unfinished_deliveries() == []
    town.settle()
    assert redeployed(town, number) == 0


def test_a_button_that_could_not_be_looked_up_is_heard_by_the_next_process(town: Town) -> None:
    number = town.open()
    town.settle()
    pressed = all_again(town, head_of(town, number))
    news = recall_rerun(pressed.event, pressed.body)
    assert news is not None
    town.store.accept([(pressed, [])])

    town.store.unavailable = True
    hear(town.loop, INSTANCE, news, pressed)
    town.store.unavailable = False
    town.settle()
    assert redeployed(town, number) == 0
    town.start()
    town.settle()

    assert redeployed(town, number) == 1

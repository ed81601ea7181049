"""What people ask for in comments, on a real Gitea, of a preview that is really deployed."""

from collections.abc import Iterator

import pytest

from tests.cluster import RunningCluster
from tests.world.pull_request import Page, PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pull_request(cluster: RunningCluster) -> Iterator[PullRequest]:
    options = WorldOptions(
        name="e2e-commands",
        project="e2e-commands-shop",
        hostname="{project}-pr-{number}.preview.localhost",
    )
    with World(cluster, options) as world:
        world.manager.start()
        opened = world.open_pull_request("said", Page("Said", "And done."))
        opened.wait_until_live()
        opened.wait_until_announced()
        yield opened


def test_a_command_puts_it_to_sleep_and_another_wakes_it_up(pull_request: PullRequest) -> None:
    pull_request.say("/preview sleep")
    pull_request.wait_until_phase("Asleep")
    pull_request.say("/preview wake")
    pull_request.wait_until_live()
    assert len(pull_request.comments()) == 1
    assert pull_request.replies() == []


def test_whoever_asks_for_help_is_answered_once(pull_request: PullRequest) -> None:
    pull_request.say("/preview help")
    wait_until("a reply", lambda: bool(pull_request.replies()), explain=pull_request.explain)
    (reply,) = pull_request.replies()
    assert "/preview sleep" in reply
    assert len(pull_request.comments()) == 1


def test_what_cannot_be_done_is_refused_with_its_reason(pull_request: PullRequest) -> None:
    before = len(pull_request.replies())
    pull_request.say("/preview reset-database")
    wait_until(
        "a refusal", lambda: len(pull_request.replies()) > before, explain=pull_request.explain
    )
    assert "there is nothing here" in pull_request.replies()[-1]

"""A part that is down, lies, refuses or has a bug: the same state is reached, and nothing is deleted by mistake."""

import pytest

from previews.domain.preview import Phase, PullRequest
from previews.domain.record import StatusState
from previews.errors import StalledError, TransientError
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, Town


def seen(town: Town) -> list[PullRequest]:
    return town.forge.list_open_pull_requests(REPOSITORY)


FALSE_READS = {
    "the forge does not answer": lambda town: town.forge.fail(UNREACHABLE),
    "the listing is empty": lambda town: town.forge.list_instead(REPOSITORY, []),
    "the listing lacks half": lambda town: town.forge.list_instead(REPOSITORY, seen(town)[:1]),
    "the repository cannot be seen any more": lambda town: town.forge.hide(REPOSITORY),
    "the forge refuses": lambda town: town.forge.fail(StalledError("ForgeRefused", "no")),
}


@pytest.mark.parametrize("lie", FALSE_READS.values(), ids=FALSE_READS.keys())
@pytest.mark.fault(39)
def test_a_false_read_deletes_nothing(lie: object) -> None:
    town = Town()
    numbers = [town.open() for _ in range(3)]
    town.settle()
    files = dict(town.gitops.files)
    assert callable(lie)
    lie(town)
    town.resync()
    for number in numbers:
        town.deliver(number)
    town.settle(600)
    town.start()
    town.settle(600)
    assert town.gitops.files == files
    assert all(f"shop-pr-{n}" in town.cluster.applications for n in numbers)


def test_an_old_listing_resurrects_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    old = seen(town)
    town.close(number)
    town.settle()
    town.forge.list_instead(REPOSITORY, old)
    town.resync()
    town.settle()
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVED


def test_git_that_refuses_is_shown_and_catches_up() -> None:
    town = Town()
    town.gitops.refuses_with = "the branch is protected"
    number = town.open()
    town.settle(1)
    assert "the branch is protected" in town.record(number).message
    assert "the branch is protected" in (town.loop.readiness()["git"] or "")
    town.gitops.refuses_with = None
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.loop.readiness()["git"] is None


def test_what_is_down_is_named_and_caught_up_with() -> None:
    town = Town()
    town.gitops.is_unreachable = True
    town.registry.is_unreachable = True
    number = town.open()
    town.settle(5)
    assert town.phase(number) is not Phase.LIVE
    assert town.record(number).reason == "RegistryUnreachable"
    town.registry.is_unreachable = False
    town.settle(5)
    town.gitops.is_unreachable = False
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_a_forge_that_takes_no_statuses_delays_no_deployment() -> None:
    town = Town()
    town.forge.fail(UNREACHABLE, on="set_commit_status")
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.status(number) is None
    town.forge.heal()
    town.settle(120)
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS


@pytest.mark.fault(27)
def test_one_stuck_removal_holds_up_nobody() -> None:
    town = Town()
    stuck = town.open()
    town.settle()
    town.cluster.hold("preview-shop-pr-1", "NamespaceContentRemaining: example.org/never remains")
    town.close(stuck)
    town.settle()
    assert town.phase(stuck) is Phase.REMOVING
    assert "example.org/never" in town.record(stuck).message
    other = town.open()
    town.settle()
    assert town.phase(other) is Phase.LIVE
    town.cluster.let_go("preview-shop-pr-1")
    town.settle(120)
    assert town.phase(stuck) is Phase.REMOVED


@pytest.mark.fault(28)
def test_a_sync_that_keeps_retrying_is_ended_so_that_the_preview_can_go() -> None:
    town = Town()
    town.argocd.deploys = False
    number = town.open()
    town.settle()
    town.cluster.put_application("shop-pr-1", operation_phase="Running")
    town.close(number)
    town.settle()
    assert town.cluster.ended_operations == ["shop-pr-1"]
    assert town.left_of(number) == set()


@pytest.mark.fault(35)
def test_a_cluster_that_is_down_is_no_trouble_of_git() -> None:
    town = Town()
    number = town.open()
    key = town.loop.queues.previews.take_due()
    assert key is not None
    town.loop.workers.work_one(key)
    town.cluster.is_unreachable = True
    town.loop.writer.write_due()
    assert town.gitops.pushes == 1
    assert town.loop.readiness()["git"] is None
    town.cluster.is_unreachable = False
    town.settle()
    assert town.phase(number) is Phase.LIVE


@pytest.mark.fault(15)
def test_poisoned_pull_requests_hold_up_no_other_and_show_why() -> None:
    town = Town()
    healthy = [town.forge.open_pull_request(REPOSITORY) for _ in range(50)]
    poisoned = town.forge.open_pull_request(REPOSITORY)
    town.forge.fail(StalledError("ForgeAnswer", "cannot be read"), on=f"{REPOSITORY}#{poisoned}")
    bug = town.forge.open_pull_request(REPOSITORY)
    broken = TransientError("ForgeAnswer", "half an answer")
    town.forge.fail(broken, on=f"{REPOSITORY}#{bug}")
    for number in (poisoned, bug):
        town.deliver(number)
    for number in healthy:
        town.push_image(number)
        town.deliver(number)
    town.settle()
    assert {town.phase(n) for n in healthy} == {Phase.LIVE}
    assert town.record(poisoned).message == "cannot be read"
    assert town.record(bug).message == "half an answer"


def test_a_bug_in_the_writer_is_shown_and_survived() -> None:
    town = Town()
    town.gitops.breaks_with = KeyError("a bug")
    number = town.open()
    town.settle(1)
    assert "a bug in previews: KeyError('a bug')" in (town.loop.readiness()["git"] or "")
    town.gitops.breaks_with = None
    town.settle()
    assert town.phase(number) is Phase.LIVE


def test_a_bug_met_by_one_preview_stops_no_other() -> None:
    town = Town()
    broken = town.forge.open_pull_request(REPOSITORY)
    town.forge.fail(ValueError("a bug"), on=f"{REPOSITORY}#{broken}")
    town.deliver(broken)
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert "ValueError('a bug')" in town.record(broken).message

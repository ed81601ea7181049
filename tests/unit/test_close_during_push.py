"""A pull request closes while the push that deploys it is on its way: nothing is called gone before its time."""

import pytest

from previews.domain.preview import Phase
from tests.fakes.town import REPOSITORY, Town


def close_and_look(town: Town, number: int) -> None:
    town.forge.close(REPOSITORY, number)
    town.deliver(number)
    while (key := town.loop.queues.previews.take_due()) is not None:
        town.loop.workers.work_one(key)


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "its answer lost"])
def test_what_a_push_may_have_brought_is_removed_in_stages(*, is_lost: bool) -> None:
    town = Town()
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    said: list[Phase] = []

    def closes() -> None:
        close_and_look(town, number)
        said.append(town.phase(number))

    town.gitops.while_pushing = closes
    if is_lost:
        town.gitops.lose_answers()
    town.deliver(number)
    town.settle()
    assert said == [Phase.REMOVING]
    assert town.phase(number) is Phase.REMOVED
    assert town.left_of(number) == set()
    subjects = [commit.message.partition("\n")[0] for commit in town.gitops.history]
    assert subjects[-2:] == [f"End the workload of shop#{number}", f"Remove shop#{number}"]


def test_argo_cd_must_have_seen_the_removal_before_it_is_called_done() -> None:
    """It may be at an earlier commit still, and bring back what that one has."""
    town = Town()
    number = town.open()
    town.settle()
    looks = town.cluster.on_refresh
    town.cluster.on_refresh = lambda _name: None
    town.close(number)
    town.settle(30)
    town.cluster.delete_application(f"shop-pr-{number}")
    town.settle(30)
    assert "shop/0/pr-1/namespace.yaml" in town.gitops.files
    town.cluster.on_refresh = looks
    looks("acme-shop-0")
    town.settle()
    assert town.phase(number) is Phase.REMOVED
    assert town.left_of(number) == set()

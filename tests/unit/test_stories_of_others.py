"""What others do in Git and in the cluster: theirs is left alone, and ours is mended."""

from dataclasses import replace

import pytest

from previews.domain.preview import Phase
from previews.domain.record import StatusState
from tests.fakes.town import Town


@pytest.mark.fault(12)
def test_a_lost_answer_of_a_push_makes_no_second_commit() -> None:
    town = Town()
    town.gitops.lose_answers(1)
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.gitops.pushes == 1


@pytest.mark.fault(20)
def test_a_rejected_push_is_computed_again_and_keeps_the_others_commit() -> None:
    town = Town()
    town.gitops.reject_pushes(3)
    number = town.open()
    town.gitops.commit_as_another({"notes.md": "not ours"})
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.gitops.files["notes.md"] == "not ours"


@pytest.mark.fault(21)
def test_a_file_edited_or_deleted_by_hand_is_mended() -> None:
    town = Town()
    number = town.open()
    town.settle()
    files = dict(town.gitops.files)
    town.gitops.commit_as_another(
        {"shop/0/pr-1/application.yaml": None, "shop/0/pr-1/namespace.yaml": "edited: true\n"}
    )
    town.resync()
    town.settle()
    assert town.gitops.files == files
    assert town.phase(number) is Phase.LIVE


@pytest.mark.fault(21)
def test_a_shard_root_taken_away_by_hand_comes_back() -> None:
    town = Town()
    town.open()
    town.settle()
    files = dict(town.gitops.files)
    town.gitops.commit_as_another({"roots/shop-0.yaml": None, "shop/0/keep.yaml": None})
    town.resync()
    town.settle()
    assert town.gitops.files == files


def test_files_of_a_removed_preview_that_come_back_by_hand_go_again_in_stages() -> None:
    town = Town()
    number = town.open()
    town.settle()
    old = {path: text for path, text in town.gitops.files.items() if "/pr-1/" in path}
    town.close(number)
    town.settle()
    town.gitops.commit_as_another(old)
    town.resync()
    town.settle()
    assert town.left_of(number) == set()
    removals = [commit.message.partition("\n")[0] for commit in town.gitops.history[-2:]]
    assert removals == ["End the workload of shop#1", "Remove shop#1"]


@pytest.mark.fault(32)
def test_somebody_elses_namespace_is_left_alone() -> None:
    town = Town()
    town.cluster.put_namespace("preview-shop-pr-1", instance="other")
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.BLOCKED
    assert town.gitops.pushes == 0
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.FAILURE
    del town.cluster.namespaces["preview-shop-pr-1"]
    town.settle(120)
    assert town.phase(number) is Phase.LIVE


@pytest.mark.fault(32)
def test_somebody_elses_namespace_outlives_the_pull_request() -> None:
    town = Town()
    town.cluster.put_namespace("preview-shop-pr-1", instance="other")
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    assert "preview-shop-pr-1" in town.cluster.namespaces


def test_a_deleted_namespace_comes_back_as_argo_cd_heals_and_stays_the_same_preview() -> None:
    town = Town()
    number = town.open()
    town.settle()
    before = town.record(number)
    town.cluster.delete_namespace("preview-shop-pr-1")
    town.resync()
    town.loop.enqueue([before.key])
    town.settle()
    assert replace(town.record(number), conditions=()) == replace(before, conditions=())

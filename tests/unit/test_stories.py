"""The manager's stories on fakes: what people do, and what is there in the end."""

from datetime import timedelta

import pytest

from previews.domain.preview import Phase
from previews.domain.record import StatusState
from tests.fakes.town import REPOSITORY, Town, project


def test_opening_a_pull_request_gives_a_live_url() -> None:
    town = Town()
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS
    assert status.target_url == "https://shop-pr-1.preview.example/"
    comments = town.forge.comments(REPOSITORY, number)
    assert len(comments) == 1
    assert status.target_url in comments[0].body


def test_a_push_changes_the_deployed_image_and_keeps_one_comment() -> None:
    town = Town()
    number = town.open()
    town.settle()
    before = town.gitops.files["shop/0/pr-1/application.yaml"]
    town.push(number)
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.gitops.files["shop/0/pr-1/application.yaml"] != before
    assert len(town.forge.comments(REPOSITORY, number)) == 1
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.SUCCESS


def test_closing_leaves_nothing_behind_and_says_so() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVED
    status = town.status(number)
    assert status is not None
    assert status.description == "Preview removed"
    assert "Preview removed" in town.forge.comments(REPOSITORY, number)[0].body


def test_nothing_is_written_before_the_image_exists() -> None:
    town = Town()
    number = town.open(image=False)
    town.settle()
    assert town.phase(number) is Phase.WAITING_FOR_IMAGE
    assert town.left_of(number) == set()
    assert town.gitops.pushes == 0
    town.push_image(number)
    town.settle(120)
    assert town.phase(number) is Phase.LIVE


def test_with_every_webhook_lost_resync_reaches_the_same_state() -> None:
    town = Town()
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.resync()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    town.forge.close(REPOSITORY, number)
    town.resync()
    town.settle()
    assert town.left_of(number) == set()


@pytest.mark.fault(3)
def test_closed_overtaking_opened_creates_nothing_that_stays() -> None:
    town = Town()
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.forge.close(REPOSITORY, number)
    town.deliver(number)
    town.deliver(number)
    town.settle()
    assert town.left_of(number) == set()
    assert town.forge.comments(REPOSITORY, number) == []


@pytest.mark.fault(31)
def test_reopened_during_removal_gets_a_new_preview_that_survives() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.cluster.hold("preview-shop-pr-1", "waiting")
    town.close(number)
    town.settle()
    town.forge.reopen(REPOSITORY, number)
    town.deliver(number)
    town.settle()
    assert town.phase(number) is Phase.REMOVING
    town.cluster.let_go("preview-shop-pr-1")
    town.settle(180)
    assert town.phase(number) is Phase.LIVE
    assert {"Application", "Namespace", "AppProject"} <= town.left_of(number)


def test_a_fork_gets_no_preview_and_is_told() -> None:
    town = Town()
    number = town.forge.open_pull_request(REPOSITORY, from_fork=True)
    town.push_image(number)
    town.deliver(number)
    town.settle()
    assert town.phase(number) is Phase.BLOCKED
    assert town.left_of(number) == set()
    status = town.status(number)
    assert status is not None
    assert "forks are off" in status.description


def test_a_refused_manifest_ends_in_a_failure_with_the_words() -> None:
    town = Town()
    town.argocd.deploys = False
    number = town.open()
    town.settle()
    problem = "ClusterRole evil: resource is not permitted in project preview-shop-pr-1"
    town.cluster.put_application("shop-pr-1", problems=(problem,))
    town.loop.enqueue([town.record(number).key])
    town.settle()
    status = town.status(number)
    assert status is not None
    assert status.state is StatusState.FAILURE
    assert "ClusterRole evil" in status.description


def test_a_url_that_does_not_answer_is_not_live_and_ends_in_a_failure() -> None:
    town = Town()
    town.prober.says("shop-pr-1.preview.example", "502 Bad Gateway")
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.DEPLOYING
    town.settle(timedelta(minutes=11).total_seconds())
    assert town.phase(number) is Phase.DEGRADED
    status = town.status(number)
    assert status is not None
    assert "502 Bad Gateway" in status.description
    town.prober.says("shop-pr-1.preview.example", "200 OK", answered=True)
    town.settle(120)
    assert town.phase(number) is Phase.LIVE


def test_everything_that_is_due_goes_out_in_one_commit() -> None:
    town = Town()
    numbers = [town.forge.open_pull_request(REPOSITORY) for _ in range(30)]
    for number in numbers:
        town.push_image(number)
        town.deliver(number)
    while (key := town.loop.queues.previews.take_due()) is not None:
        town.loop.workers.work_one(key)
    town.loop.writer.write_due()
    assert town.gitops.pushes == 1
    message = town.gitops.history[-1].message
    assert sum(line.startswith("Preview: shop#") for line in message.splitlines()) == 30


def test_projects_of_one_repository_each_get_a_preview_and_share_the_comment() -> None:
    town = Town([project("api"), project("shop")])
    number = town.forge.open_pull_request(REPOSITORY)
    for name in ("api", "shop"):
        town.push_image(number, name)
        town.deliver(number, name)
    town.settle()
    assert {town.phase(number, name) for name in ("api", "shop")} == {Phase.LIVE}
    comments = town.forge.comments(REPOSITORY, number)
    assert len(comments) == 1
    assert "https://api-pr-1.preview.example/" in comments[0].body
    assert "https://shop-pr-1.preview.example/" in comments[0].body


@pytest.mark.fault(39)
def test_a_project_taken_out_of_the_configuration_loses_nothing() -> None:
    town = Town([project("api"), project("shop")])
    number = town.open("api")
    town.settle()
    files = dict(town.gitops.files)
    del town.projects["api"]
    town.start()
    town.settle(600)
    assert town.gitops.files == files
    assert f"api-pr-{number}" in town.cluster.applications


def test_a_hostile_title_and_branch_deploy_as_any_other() -> None:
    town = Town()
    number = town.open(title="\u202e: {{.x}} '\" $(id) @everyone | <b>", branch="a;$(id)")
    town.settle()
    assert town.phase(number) is Phase.LIVE


@pytest.mark.fault(8)
def test_a_replayed_delivery_changes_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    writes = town.store.writes
    town.deliver(number, guid="guid-1")
    town.settle()
    assert town.store.writes == writes


def test_a_new_title_redeploys_nothing_not_even_after_a_restart() -> None:
    town = Town()
    number = town.open()
    town.settle()
    pushes = town.gitops.pushes
    town.forge.edit(REPOSITORY, number, title="Better words")
    town.deliver(number)
    town.settle()
    town.start()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert town.gitops.pushes == pushes

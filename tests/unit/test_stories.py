"""The manager's stories on fakes: what people do, and what is there in the end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.preview import Phase, PullRequest
from previews.domain.record import StatusState
from previews.errors import StalledError, TransientError
from tests.fakes.forge import UNREACHABLE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project


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


def test_twenty_more_looks_write_nothing() -> None:
    witness = CountingWitness()
    town = Town(witness=witness)
    live, closed, waiting = town.open(), town.open(), town.open(image=False)
    town.settle()
    town.close(closed)
    town.settle(7200)
    town.resync()
    town.settle()
    counts, writes, pushes = dict(witness.counts), town.store.writes, town.gitops.pushes
    for _ in range(20):
        town.resync()
        town.loop.enqueue([town.record(n).key for n in (live, closed, waiting)])
        town.settle(1)
    counts = {effect: n for effect, n in counts.items() if effect.startswith(("git", "forge"))}
    now = {effect: n for effect, n in witness.counts.items() if effect in counts}
    assert now == counts
    assert (town.store.writes, town.gitops.pushes) == (writes, pushes)


def test_a_restart_writes_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    writes, pushes = list(town.forge.writes), town.gitops.pushes
    town.start()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    assert (town.forge.writes, town.gitops.pushes) == (writes, pushes)


def test_removed_while_the_manager_was_down() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.close(REPOSITORY, number)
    town.start()
    town.settle()
    assert town.left_of(number) == set()
    assert town.phase(number) is Phase.REMOVED


def test_a_lost_store_deletes_nothing_and_is_rebuilt() -> None:
    town = Town()
    stays, closes = town.open(), town.open()
    town.settle()
    files = dict(town.gitops.files)
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert town.gitops.files == files
    assert town.phase(stays) is Phase.LIVE
    town.close(closes)
    town.settle()
    assert town.left_of(closes) == set()
    assert town.left_of(stays) != set()


def test_a_lost_store_still_removes_what_was_closed_meanwhile() -> None:
    town = Town()
    number = town.open()
    town.settle()
    town.forge.close(REPOSITORY, number)
    town.store = type(town.store)()
    town.start()
    town.settle()
    assert town.left_of(number) == set()


@pytest.mark.fault(19)
def test_a_store_of_yesterday_brings_nothing_back_and_deletes_nothing() -> None:
    town = Town()
    number = town.open()
    town.settle()
    yesterday = [town.record(number)]
    town.push(number)
    town.settle()
    files, history = dict(town.gitops.files), len(town.gitops.history)
    town.store = type(town.store)()
    for record in yesterday:
        town.store.save(record)
    town.start()
    town.settle()
    assert town.gitops.files == files
    assert len(town.gitops.history) == history


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


@pytest.mark.fault(35)
def test_a_cluster_that_is_down_is_no_trouble_of_git() -> None:
    town = Town()
    number = town.open()
    key = town.loop.keys.take_due()
    assert key is not None
    town.loop.workers.work_one(key)
    town.cluster.is_unreachable = True
    town.loop.writer.write_due()
    assert town.gitops.pushes == 1
    assert town.loop.readiness()["git"] is None
    town.cluster.is_unreachable = False
    town.settle()
    assert town.phase(number) is Phase.LIVE


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


def test_everything_that_is_due_goes_out_in_one_commit() -> None:
    town = Town()
    numbers = [town.forge.open_pull_request(REPOSITORY) for _ in range(30)]
    for number in numbers:
        town.push_image(number)
        town.deliver(number)
    while (key := town.loop.keys.take_due()) is not None:
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

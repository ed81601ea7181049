"""Every part may fail, and every event may be lost: the same state is reached, and nothing is deleted by mistake.

The manager of these tests hears no webhook at all: it has resyncs, Git and the cluster to find everything out from.
"""

import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from tests.world.checkout import PushRejectedError
from tests.world.pull_request import Page, PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Object = dict[str, Any]


def test_without_any_webhook_resyncs_reach_the_same_state(deaf_world: World) -> None:
    pull_request = deaf_world.open_pull_request("unheard", Page("Unheard", "No webhook came."))
    pull_request.wait_until_live()
    wait_until("its page is shown", pull_request.shows_its_commit, explain=pull_request.explain)
    pull_request.wait_until_announced()

    pull_request.push(Page("Still unheard", "None came again."))
    pull_request.wait_until_live()
    wait_until("the page changes", pull_request.shows_its_commit, explain=pull_request.explain)

    pull_request.close()
    pull_request.wait_until_removed()
    wait_until("status and comment say so", pull_request.is_said_to_be_removed)


def test_when_nothing_changes_nothing_is_written(deaf_world: World) -> None:
    quiet = deaf_world.open_simple_pull_request("quiet")
    quiet.wait_until_live()
    quiet.wait_until_announced()
    before = _written_for(deaf_world, quiet)

    # Another one comes and goes: each of its steps needs a resync, and each resync looks at the quiet one too.
    other = deaf_world.open_simple_pull_request("busy")
    other.wait_until_live()
    other.close()
    other.wait_until_removed()
    wait_until("that is said", other.is_said_to_be_removed)
    deaf_world.manager.stop()
    deaf_world.manager.start()
    commits = deaf_world.gitops_commits()
    third = deaf_world.open_pull_request("later", Page("Later", "-"), image=False)
    third.wait_until_phase("WaitingForImage")

    assert _written_for(deaf_world, quiet) == before
    assert deaf_world.gitops_commits() == commits
    third.close()
    quiet.close()


def test_what_was_closed_while_the_manager_was_down_is_removed(deaf_world: World) -> None:
    pull_request = deaf_world.open_simple_pull_request("closed-at-night")
    pull_request.wait_until_live()
    deaf_world.manager.stop()
    pull_request.close()

    deaf_world.manager.start()
    pull_request.wait_until_removed()
    wait_until("status and comment say so", pull_request.is_said_to_be_removed)


@pytest.mark.fault(11)
def test_a_killed_manager_goes_on_where_it_was(deaf_world: World) -> None:
    pull_request = deaf_world.open_simple_pull_request("interrupted")
    wait_until("its files are in Git", pull_request.files, explain=pull_request.explain)
    deaf_world.manager.kill()
    deaf_world.manager.start()
    pull_request.wait_until_live()
    pull_request.wait_until_announced()
    assert len(pull_request.comments()) == 1

    pull_request.close()
    wait_until("its removal began", lambda: pull_request.phase() == "Removing")
    deaf_world.manager.kill()
    deaf_world.manager.start()
    pull_request.wait_until_removed()
    wait_until("status and comment say so", pull_request.is_said_to_be_removed)
    assert len(pull_request.comments()) == 1


@pytest.mark.fault(19)
def test_without_its_store_the_manager_deletes_nothing_and_adopts_what_is_live(
    deaf_world: World,
) -> None:
    kept = deaf_world.open_simple_pull_request("kept")
    closed = deaf_world.open_simple_pull_request("closed-meanwhile")
    for pull_request in (kept, closed):
        pull_request.wait_until_live()
        pull_request.wait_until_announced()
    identity = _identity(kept)
    deaf_world.manager.stop()
    shutil.rmtree(deaf_world.manager.data)
    closed.close()

    deaf_world.manager.start()
    closed.wait_until_removed()
    kept.wait_until_live()
    assert _identity(kept) == identity
    assert len(kept.comments()) == 1
    wait_until("status and comment say so", closed.is_said_to_be_removed, explain=closed.explain)

    kept.close()
    kept.wait_until_removed()
    wait_until("status and comment say so", kept.is_said_to_be_removed, explain=kept.explain)


@pytest.mark.stops_parts
def test_while_argo_cd_is_down_work_goes_as_far_as_git(deaf_world: World) -> None:
    cluster = deaf_world.cluster
    cluster.stop("argocd-application-controller")
    try:
        pull_request = deaf_world.open_simple_pull_request("argo-is-down")
        wait_until("its files are in Git", pull_request.files, explain=pull_request.explain)
        pull_request.wait_until_phase("Provisioning")
        assert deaf_world.manager.is_running
    finally:
        cluster.start("argocd-application-controller")
    pull_request.wait_until_live()
    pull_request.close()


@pytest.mark.stops_parts
def test_the_forge_and_git_may_go_away_and_come_back(deaf_world: World) -> None:
    cluster, manager = deaf_world.cluster, deaf_world.manager
    live = deaf_world.open_simple_pull_request("already-live")
    live.wait_until_live()
    live.wait_until_announced()
    identity = _identity(live)

    cluster.stop("gitea")
    try:
        _wait_until_missing(deaf_world, "forge", "git")
        assert live.is_live()
    finally:
        cluster.start("gitea")
    wait_until("nothing is missing", lambda: manager.missing() == {}, explain=manager.log_tail)

    manager.stop()
    waiting = deaf_world.open_simple_pull_request("opened-in-between")
    cluster.stop("gitea")
    try:
        manager.start(until_ready=False)
        _wait_until_missing(deaf_world, "forge", "git")
        assert live.page().status == 200
    finally:
        cluster.start("gitea")
    waiting.wait_until_live()
    assert manager.missing() == {}
    assert _identity(live) == identity
    for pull_request in (live, waiting):
        pull_request.close()


@pytest.mark.fault(35)
@pytest.mark.stops_parts
def test_a_cluster_that_does_not_answer_at_start_is_waited_for(deaf_world: World) -> None:
    cluster, manager = deaf_world.cluster, deaf_world.manager
    manager.stop()
    pull_request = deaf_world.open_simple_pull_request("no-cluster-yet")
    cluster.stop("kube-apiserver")
    try:
        manager.start(until_ready=False)
        _wait_until_missing(deaf_world, "cluster")
    finally:
        cluster.start("kube-apiserver")
    pull_request.wait_until_live()
    pull_request.close()


@pytest.mark.fault(21)
def test_what_somebody_changes_in_our_folder_is_mended_and_the_rest_is_kept(
    deaf_world: World,
) -> None:
    pull_request = deaf_world.open_simple_pull_request("meddled-with")
    pull_request.wait_until_live()
    # What is removed for the tests before this one makes Argo CD read the branch at moments of its own.
    wait_until("nothing else is under way", lambda: _settled(deaf_world))
    identity = _identity(pull_request)
    meant = _texts(deaf_world, pull_request)

    edited = f"{pull_request.folder}/namespace.yaml"
    _change_by_hand(deaf_world, {edited: "# mine\n", "NOTES.md": "Ours to keep.\n"})
    wait_until("the file is mended", lambda: _texts(deaf_world, pull_request) == meant)
    assert deaf_world.gitea.file(deaf_world.gitops_repository, "NOTES.md") == "Ours to keep.\n"

    _change_by_hand(deaf_world, dict.fromkeys(meant))
    wait_until("the files are back", lambda: _texts(deaf_world, pull_request) == meant)
    pull_request.wait_until_live()
    assert _identity(pull_request) == identity
    pull_request.close()


def _settled(world: World) -> bool:
    return all(preview["phase"] in {"Live", "Removed"} for preview in world.manager.previews())


def _change_by_hand(world: World, files: Mapping[str, str | None]) -> None:
    """As a person does it, beside a manager that pushes too: again, until it is the first one. None removes a file."""

    def attempt() -> bool:
        world.gitops.pull("main")
        world.gitops.commit(files, "By hand")
        try:
            world.gitops.push("main")
        except PushRejectedError:
            return False
        return True

    wait_until("the change is pushed", attempt)


def _wait_until_missing(world: World, *systems: str) -> None:
    wait_until(
        f"/readyz says that {' and '.join(systems)} are missing",
        lambda: set(systems) <= set(world.manager.missing() or {}),
        explain=world.manager.log_tail,
    )
    assert world.manager.is_running


def _identity(pull_request: PullRequest) -> tuple[str, str]:
    """Of what is deployed: another one after a removal, even for a moment."""
    application, namespace = pull_request.application(), pull_request.namespace()
    assert application is not None
    assert namespace is not None
    return application["metadata"]["uid"], namespace["metadata"]["uid"]


def _texts(world: World, pull_request: PullRequest) -> dict[str, str | None]:
    return {file: world.gitea.file(world.gitops_repository, file) for file in pull_request.files()}


def _written_for(world: World, pull_request: PullRequest) -> Object:
    """All that the manager writes for a pull request, with what would change if it were written again."""
    application = pull_request.application()
    assert application is not None
    statuses = world.gitea.statuses(world.shop_repository, pull_request.head_sha)
    comments = world.gitea.comments(pull_request.opened)
    return {
        "statuses": [status["id"] for status in statuses],
        "comments": [(comment["id"], comment["updated_at"]) for comment in comments],
        "files": _texts(world, pull_request),
        "commits": [
            commit["sha"]
            for commit in world.gitea.commits(world.gitops_repository)
            if f"{pull_request.key} " in commit["commit"]["message"]
        ],
        "spec": application["spec"],
        "identity": _identity(pull_request),
    }

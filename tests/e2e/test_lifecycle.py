"""The whole life of a preview, on real parts only, with a manager that acts on webhooks."""

import pytest

from previews.domain.observation import APPLICATION_FILE
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import Visitor
from tests.world.waiting import wait_until
from tests.world.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_pull_request_gets_a_live_address_and_leaves_nothing_behind(world: World) -> None:
    pull_request = world.open_pull_request("winter-sale", Page("Winter sale", "A third off."))
    pull_request.wait_until_live()
    wait_until("its page is shown", pull_request.shows_its_commit, explain=pull_request.explain)
    assert "A third off." in pull_request.page().body
    pull_request.wait_until_announced()
    assert len(pull_request.comments()) == 1
    _assert_deployed_as_documented(world, pull_request)

    old = pull_request.head_sha
    with Visitor(pull_request.url) as visitor:
        new = pull_request.push(Page("Last days", "Half off."))
        pull_request.wait_until_live()
        wait_until("the page changes", pull_request.shows_its_commit)
        wait_until(
            "only new pods are left", lambda: pull_request.tags_of_pods() == {pull_request.tag}
        )
    assert visitor.failures() == []
    assert set(visitor.saw({"old": old, "new": new})) == {"old", "new"}
    pull_request.wait_until_announced()
    assert len(pull_request.comments()) == 1

    pull_request.close()
    pull_request.wait_until_removed()
    wait_until(
        "status and comment say so",
        pull_request.is_said_to_be_removed,
        explain=pull_request.explain,
    )
    assert pull_request.page().status == 404
    assert len(pull_request.comments()) == 1


def test_nothing_is_deployed_before_its_image_is_there(world: World) -> None:
    pull_request = world.open_pull_request("slow-ci", Page("Slow", "CI takes long."), image=False)
    pull_request.wait_until_phase("WaitingForImage")
    wait_until(
        "the status says what is waited for",
        lambda: (
            pull_request.status().get("status") == "pending"
            and "image" in pull_request.status()["description"].lower()
        ),
        explain=pull_request.explain,
    )
    assert pull_request.leftovers() == []

    pull_request.build_image()
    pull_request.wait_until_live()
    assert pull_request.shows_its_commit()
    pull_request.wait_until_announced()
    pull_request.close()


@pytest.mark.fault(27)
def test_a_removal_that_is_stuck_says_why_and_holds_up_nobody(world: World) -> None:
    stuck = world.open_simple_pull_request("stuck")
    stuck.wait_until_live()
    stuck.hold_namespace("example.org/never")
    stuck.close()
    wait_until(
        "the API has Kubernetes' own words",
        lambda: "example.org/never" in stuck.preview()["message"],
        explain=stuck.explain,
    )
    assert stuck.phase() == "Removing"

    other = world.open_simple_pull_request("meanwhile")
    other.wait_until_live()
    assert stuck.phase() == "Removing"
    assert stuck.namespace() is not None
    other.close()

    stuck.let_namespace_go()
    stuck.wait_until_removed()


@pytest.mark.fault(31)
def test_a_preview_that_is_reopened_while_it_is_removed_survives(world: World) -> None:
    pull_request = world.open_simple_pull_request("second-thoughts")
    pull_request.wait_until_live()
    first = pull_request.namespace()
    assert first is not None
    pull_request.hold_namespace("example.org/not-yet")
    pull_request.close()
    wait_until(
        "its namespace is being deleted",
        lambda: "deletionTimestamp" in (pull_request.namespace() or {"metadata": {}})["metadata"],
        explain=pull_request.explain,
    )

    pull_request.reopen()
    wait_until(
        "the manager has heard of it",
        lambda: "reopened" in pull_request.preview()["message"],
        explain=pull_request.explain,
    )
    pull_request.let_namespace_go()
    pull_request.wait_until_live()
    second = pull_request.namespace()
    assert second is not None
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    pull_request.wait_until_announced()
    pull_request.close()


@pytest.mark.fault(32)
def test_a_namespace_that_is_not_ours_is_left_alone(world: World) -> None:
    pull_request = world.open_pull_request("squatted", Page("Squatted", "-"), image=False)
    pull_request.wait_until_phase("WaitingForImage")
    foreign = world.kubernetes.create(
        "/api/v1/namespaces", {"metadata": {"name": pull_request.names.namespace}}
    )
    try:
        pull_request.borrow_image()
        pull_request.wait_until_phase("Blocked")
        assert pull_request.preview()["reason"] == "NotOurs"
        assert pull_request.names.namespace in pull_request.preview()["message"]
        wait_until(
            "the pull request says so",
            lambda: pull_request.status().get("status") == "failure",
            explain=pull_request.explain,
        )
        assert pull_request.files() == []

        pull_request.close()
        wait_until(
            "the closing was heard of",
            lambda: not world.gitea.is_open(pull_request.opened),
        )
        found = pull_request.namespace()
        assert found is not None
        assert found["metadata"]["uid"] == foreign["metadata"]["uid"]
        assert "deletionTimestamp" not in found["metadata"]
    finally:
        world.kubernetes.delete(f"/api/v1/namespaces/{pull_request.names.namespace}")


def _assert_deployed_as_documented(world: World, pull_request: PullRequest) -> None:
    names = pull_request.names
    application = pull_request.application()
    assert application is not None
    labels = application["metadata"]["labels"]
    assert (labels["preview"], labels["pr"]) == ("true", str(pull_request.number))
    assert application["spec"]["destination"]["namespace"] == names.namespace
    assert application["spec"]["project"] == names.app_project
    given = application["spec"]["source"]["helm"]["parameters"]
    parameters = {each["name"]: each["value"] for each in given}
    assert parameters["image.tag"] == pull_request.tag
    assert parameters["ingress.host"] == names.host

    namespace = pull_request.namespace()
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for path in (
        f"/api/v1/namespaces/{names.namespace}/resourcequotas",
        f"/api/v1/namespaces/{names.namespace}/limitranges",
        f"/apis/networking.k8s.io/v1/namespaces/{names.namespace}/networkpolicies",
    ):
        assert world.kubernetes.list(path), path
    assert f"{pull_request.folder}/{APPLICATION_FILE}" in pull_request.files()

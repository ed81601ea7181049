"""What is deleted by hand, out of order, or held by Argo CD's options: it comes again, or goes altogether."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.world.kubernetes import Object
from tests.world.pull_request import PullRequest
from tests.world.waiting import wait_until
from tests.world.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.mark.fault(29)
def test_what_argo_cd_was_told_to_leave_goes_with_its_namespace(deaf_world: World) -> None:
    """As it may have been told before there was a policy against it."""
    pull_request = deaf_world.open_simple_pull_request("never-delete")
    pull_request.wait_until_live()
    path = f"/apis/apps/v1/namespaces/{pull_request.names.namespace}/deployments"
    (deployment,) = deaf_world.kubernetes.list(path)
    path = f"{path}/{deployment['metadata']['name']}"
    option = {"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Delete=false"}}}
    with pytest.raises(RuntimeError, match="previews refuses Delete=false"):
        deaf_world.kubernetes.patch(path, option)
    with _without_policy(deaf_world, "removal"):
        wait_until("the option is taken", lambda: _is_taken(deaf_world, path, option))

    pull_request.close()
    pull_request.wait_until_removed()
    assert deaf_world.kubernetes.get(path) is None


@pytest.mark.fault(30)
def test_an_app_project_that_is_deleted_first_keeps_nothing_from_going(deaf_world: World) -> None:
    pull_request = deaf_world.open_simple_pull_request("no-app-project")
    pull_request.wait_until_live()
    deaf_world.kubernetes.delete(
        deaf_world.kubernetes.app_project_path(pull_request.names.app_project)
    )
    pull_request.close()
    pull_request.wait_until_removed()


@pytest.mark.fault(33)
def test_a_namespace_deleted_by_hand_comes_again_with_all_that_was_in_it(deaf_world: World) -> None:
    pull_request = deaf_world.open_simple_pull_request("by-hand-namespace")
    pull_request.wait_until_live()
    before = _uid(pull_request)
    deaf_world.kubernetes.delete(f"/api/v1/namespaces/{pull_request.names.namespace}")
    wait_until(
        "it is another one",
        lambda: _uid(pull_request) not in {"", before},
        explain=pull_request.explain,
    )
    pull_request.wait_until_live()
    pull_request.close()
    pull_request.wait_until_removed()


@pytest.mark.fault(33)
def test_an_application_deleted_by_hand_comes_again(deaf_world: World) -> None:
    pull_request = deaf_world.open_simple_pull_request("by-hand-application")
    pull_request.wait_until_live()
    application = pull_request.application()
    assert application is not None
    deaf_world.kubernetes.delete(
        deaf_world.kubernetes.application_path(pull_request.names.application)
    )

    def is_another() -> bool:
        found = pull_request.application()
        return found is not None and found["metadata"]["uid"] != application["metadata"]["uid"]

    wait_until("it is another one", is_another, explain=pull_request.explain)
    pull_request.wait_until_live()
    pull_request.close()
    pull_request.wait_until_removed()


@contextmanager
def _without_policy(world: World, theme: str) -> Iterator[None]:
    kind = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    path = f"{kind}/previews-{world.options.name}-{theme}"
    found = world.kubernetes.get(path)
    assert found is not None
    world.kubernetes.delete(path)
    try:
        yield
    finally:
        for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            found["metadata"].pop(field, None)
        world.kubernetes.create(kind, found)


def _is_taken(world: World, path: str, change: Object) -> bool:
    """A policy is heard of for a moment after it is gone."""
    try:
        return world.kubernetes.patch(path, change) is not None
    except RuntimeError:
        return False


def _uid(pull_request: PullRequest) -> str:
    found = pull_request.namespace()
    return str(found["metadata"]["uid"]) if found else ""

"""What every cluster does: run on the fake and on Kubernetes, where Argo CD leaves the objects of these tests alone."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import PAGE_SIZE
from previews.domain.inventory import OwnedObject
from previews.domain.ports import Cluster
from previews.domain.preview import PreviewKey
from previews.domain.workload import Workload
from previews.errors import TransientError
from tests.cluster import RunningCluster, preflight, running
from tests.fakes.cluster import FakeCluster
from tests.manager_rights import manager_kubeconfig
from tests.watching import watching

SHOP_42, SHOP_43 = PreviewKey("shop", 42), PreviewKey("shop", 43)
NEVER = "example.org/never"


class World(Protocol):
    """A cluster that has not been watched yet, and what others do to it. Names are a test's own."""

    @property
    def cluster(self) -> Cluster: ...
    @property
    def instance(self) -> str: ...
    def name(self, stem: str) -> str:
        """This stem, made unique where tests share a cluster."""
        ...

    def put_application(
        self,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str = "",
        digest: str = "",
        health: str = "Healthy",
        revision: str = "",
    ) -> None: ...
    def make_noise(self, name: str) -> None:
        """Change the Application in a way that decides nothing."""
        ...

    def run_operation(self, name: str) -> None: ...
    def hold_application(self, name: str) -> None: ...
    def delete_application(self, name: str) -> None: ...
    def let_go_of_application(self, name: str) -> None: ...
    def put_namespace(self, name: str, owner: PreviewKey, *, held: bool = False) -> None: ...
    def delete_namespace(self, name: str) -> None: ...
    def let_go_of_namespace(self, name: str) -> None: ...
    def put_app_project(self, name: str, owner: PreviewKey | None = None) -> None: ...
    def put_config_maps(self, *names: str, instance: str = "") -> None: ...
    def unlabelled_namespace(self, name: str) -> None:
        """As anybody may make one, whatever its name looks like."""
        ...

    def refresh_was_asked_of(self, name: str) -> bool: ...


class FakeWorld:
    def __init__(self) -> None:
        self.instance = "acme"
        self.cluster = FakeCluster(instance=self.instance, is_listed=False)
        # Here Argo CD is not at work, as in the namespace that the real one is tried in.
        self.cluster.ends_operations = False

    def name(self, stem: str) -> str:
        return stem

    def put_application(
        self,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str = "",
        digest: str = "",
        health: str = "Healthy",
        revision: str = "",
    ) -> None:
        revisions = frozenset({revision} - {""})
        self.cluster.put_application(
            name,
            owner,
            instance=instance or None,
            digest=digest,
            health=health,
            revisions=revisions,
        )

    def make_noise(self, name: str) -> None:
        self.cluster.put_application(name)

    def run_operation(self, name: str) -> None:
        self.cluster.put_application(name, operation_phase="Running")

    def hold_application(self, name: str) -> None:
        self.cluster.hold(name)

    def delete_application(self, name: str) -> None:
        self.cluster.delete_application(name)

    def let_go_of_application(self, name: str) -> None:
        self.cluster.put_application(name, operation_phase="")
        self.cluster.let_go(name)

    def put_namespace(self, name: str, owner: PreviewKey, *, held: bool = False) -> None:
        self.cluster.put_namespace(name, owner)
        if held:
            problem = f"NamespaceFinalizersRemaining: {NEVER} in 1 resource instances"
            self.cluster.hold(name, problem)

    def delete_namespace(self, name: str) -> None:
        self.cluster.delete_namespace(name)

    def let_go_of_namespace(self, name: str) -> None:
        self.cluster.let_go(name)

    def put_app_project(self, name: str, owner: PreviewKey | None = None) -> None:
        self.cluster.put_app_project(name, owner)

    def put_config_maps(self, *names: str, instance: str = "") -> None:
        for name in names:
            self.cluster.put_config_map(name, instance=instance or None)

    def unlabelled_namespace(self, name: str) -> None:
        self.cluster.put_namespace(name, instance="nobody")

    def refresh_was_asked_of(self, name: str) -> bool:
        return name in self.cluster.refreshed


class KubernetesWorld:
    """Applications lie in a namespace that Argo CD does not look at, so that they stay as a test makes them."""

    def __init__(self, running_cluster: RunningCluster, kubeconfig: Path, namespace: str) -> None:
        self._kubectl = running_cluster.kubectl
        self._argocd_namespace = namespace
        self._suffix = secrets.token_hex(3)
        self.instance = f"contract-{self._suffix}"
        self.cluster = KubernetesCluster(
            kubeconfig=kubeconfig, argocd_namespace=namespace, instance=self.instance
        )
        self._namespaces: list[str] = []

    def name(self, stem: str) -> str:
        return f"{stem}-{self._suffix}"

    def put_application(
        self,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str = "",
        digest: str = "",
        health: str = "Healthy",
        revision: str = "",
    ) -> None:
        source = {"repoURL": "https://git.example/shop.git", "path": "chart"}
        destination = {"server": "https://kubernetes.default.svc", "namespace": "nowhere"}
        self._apply(
            "argoproj.io/v1alpha1",
            "Application",
            name,
            owner,
            instance=instance,
            annotations={"previews.dev/digest": digest},
            spec={"project": "none", "source": source, "destination": destination},
            status={
                "health": {"status": health},
                "sync": {"status": "Synced", "revision": revision},
            },
        )

    def make_noise(self, name: str) -> None:
        self._patch(name, {"status": {"reconciledAt": "2026-01-01T00:00:00Z"}})

    def run_operation(self, name: str) -> None:
        state = {"phase": "Running", "operation": {}, "startedAt": "2026-01-01T00:00:00Z"}
        self._patch(name, {"operation": {"sync": {}}, "status": {"operationState": state}})

    def hold_application(self, name: str) -> None:
        self._patch(name, {"metadata": {"finalizers": [NEVER]}})

    def delete_application(self, name: str) -> None:
        self._in_argocd("delete", "--wait=false", f"application/{name}")

    def let_go_of_application(self, name: str) -> None:
        self._patch(name, {"metadata": {"finalizers": None}})

    def put_namespace(self, name: str, owner: PreviewKey, *, held: bool = False) -> None:
        self._namespaces.append(name)
        self._apply("v1", "Namespace", name, owner)
        if held:
            held_back = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "held", "namespace": name, "finalizers": [NEVER]},
            }
            self._kubectl("apply", "-f", "-", input=json.dumps(held_back))

    def delete_namespace(self, name: str) -> None:
        self._kubectl("delete", "--wait=false", "--ignore-not-found", f"namespace/{name}")

    def let_go_of_namespace(self, name: str) -> None:
        no_finalizers = '{"metadata": {"finalizers": null}}'
        self._kubectl(
            "patch", "configmap/held", f"--namespace={name}", "--type=merge", f"-p={no_finalizers}"
        )

    def put_app_project(self, name: str, owner: PreviewKey | None = None) -> None:
        self._apply("argoproj.io/v1alpha1", "AppProject", name, owner, spec={})

    def put_config_maps(self, *names: str, instance: str = "") -> None:
        labels = {"previews.dev/instance": instance or self.instance}
        metadata = {"namespace": self._argocd_namespace, "labels": labels}
        made = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "name": name}}
            for name in names
        ]
        listed = {"apiVersion": "v1", "kind": "List", "items": made}
        self._kubectl("apply", "-f", "-", input=json.dumps(listed))

    def unlabelled_namespace(self, name: str) -> None:
        self._namespaces.append(name)
        self._kubectl("create", "namespace", name)

    def refresh_was_asked_of(self, name: str) -> bool:
        path = r"-o=jsonpath={.metadata.annotations.argocd\.argoproj\.io/refresh}"
        return self._in_argocd("get", f"application/{name}", path).startswith("normal-")

    def clear(self) -> None:
        ours = f"--selector=previews.dev/instance={self.instance}"
        for name in self._in_argocd("get", "applications", ours, "-o=name").split():
            self._patch(name.partition("/")[2], {"metadata": {"finalizers": None}})
        # ConfigMaps go with the namespace that they are in.
        self._in_argocd("delete", "applications,appprojects", ours)
        for name in self._namespaces:
            self.delete_namespace(name)

    def _apply(
        self,
        version: str,
        kind: str,
        name: str,
        owner: PreviewKey | None,
        *,
        instance: str = "",
        annotations: dict[str, str] | None = None,
        **content: object,
    ) -> None:
        labels = {"previews.dev/instance": instance or self.instance}
        if owner is not None:
            labels |= {"previews.dev/project": owner.project, "pr": str(owner.number)}
        metadata: dict[str, object] = {
            "name": name,
            "labels": labels,
            "annotations": annotations or {},
        }
        if kind != "Namespace":
            metadata["namespace"] = self._argocd_namespace
        wanted = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
        self._kubectl("apply", "-f", "-", input=json.dumps(wanted))

    def _patch(self, name: str, change: dict[str, Any]) -> None:
        self._in_argocd("patch", f"application/{name}", "--type=merge", f"-p={json.dumps(change)}")

    def _in_argocd(self, verb: str, *arguments: str) -> str:
        return self._kubectl(verb, f"--namespace={self._argocd_namespace}", *arguments)


@pytest.fixture(scope="module")
def kubernetes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningCluster, Path, str]]:
    found = running()
    if found is None:
        pytest.skip(preflight() or "the local cluster is not running (make cluster-up)")
    home = f"previews-contract-{secrets.token_hex(3)}"
    with manager_kubeconfig(
        found, tmp_path_factory.mktemp("manager"), home=home, argocd_namespace=home
    ) as file:
        yield found, file, home


@pytest.fixture(params=["fake", "kubernetes"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    real = KubernetesWorld(*request.getfixturevalue("kubernetes"))
    try:
        yield real
    finally:
        real.clear()


def test_nothing_is_read_from_the_watch_before_it_has_listed_all(world: World) -> None:
    for read in (
        lambda: world.cluster.application("shop-pr-42"),
        lambda: world.cluster.namespace("preview-shop-pr-42"),
        world.cluster.owned_keys,
    ):
        with pytest.raises(TransientError) as raised:
            read()
        assert raised.value.reason == "ClusterUnreachable"


def test_what_was_there_before_is_listed_and_what_comes_is_told(world: World) -> None:
    first, second = world.name("shop-pr-42"), world.name("shop-pr-43")
    namespace = world.name("preview-shop-pr-43")
    world.put_application(first, SHOP_42, digest="d1")
    with watching(world.cluster) as watch:
        assert set(watch.until(lambda it: it.application(first))) == {SHOP_42}
        found = world.cluster.application(first)
        assert found is not None
        assert (found.owner, found.digest, found.health) == (SHOP_42, "d1", "Healthy")
        assert not found.deleting
        world.put_application(second, SHOP_43)
        assert set(watch.until(lambda it: it.application(second))) == {SHOP_43}
        world.put_namespace(namespace, SHOP_43)
        assert set(watch.until(lambda it: it.namespace(namespace))) == {SHOP_43}
        assert world.cluster.owned_keys() == {SHOP_42, SHOP_43}
        world.put_application(first, SHOP_42, digest="d2")
        watch.until(lambda it: (found := it.application(first)) and found.digest == "d2")
        world.delete_application(first)
        assert set(watch.until(lambda it: it.application(first) is None)) == {SHOP_42}
        assert world.cluster.owned_keys() == {SHOP_43}


def test_what_decides_nothing_wakes_nobody(world: World) -> None:
    noisy, other = world.name("shop-pr-42"), world.name("shop-pr-43")
    world.put_application(noisy, SHOP_42)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.application(noisy))
        world.make_noise(noisy)
        world.put_application(other, SHOP_43)
        assert watch.until(lambda it: it.application(other)) == [SHOP_43]
        assert watch.is_quiet()


def test_a_shard_root_is_read_like_a_preview_and_wakes_nobody(world: World) -> None:
    root, preview = world.name("acme-shop-2"), world.name("shop-pr-42")
    world.put_application(root, revision="a" * 40)
    with watching(world.cluster) as watch:
        world.put_application(root, revision="b" * 40)
        world.put_application(preview, SHOP_42)
        assert watch.until(lambda it: it.application(preview)) == [SHOP_42]
        found = world.cluster.application(root)
        assert found is not None
        assert found.owner is None
        assert found.revisions == {"b" * 40}
        assert world.cluster.owned_keys() == {SHOP_42}


def test_an_object_of_another_manager_is_only_found_by_asking_for_it(world: World) -> None:
    foreign, ours = world.name("shop-pr-42"), world.name("shop-pr-43")
    world.put_application(foreign, SHOP_42, instance="somebody-else")
    world.put_application(ours, SHOP_43)
    with watching(world.cluster) as watch:
        assert watch.until(lambda it: it.application(ours)) == [SHOP_43]
        assert world.cluster.application(foreign) is None
        assert world.cluster.owned_keys() == {SHOP_43}
    found = world.cluster.fetch_application(foreign)
    assert found is not None
    assert found.owner is None


def test_fetching_needs_no_watch_and_none_is_a_proven_absence(world: World) -> None:
    application, namespace = world.name("shop-pr-42"), world.name("preview-shop-pr-42")
    assert world.cluster.fetch_application(application) is None
    assert world.cluster.fetch_namespace(namespace) is None
    assert not world.cluster.app_project_exists(namespace)
    world.put_application(application, SHOP_42)
    world.put_namespace(namespace, SHOP_42)
    world.put_app_project(namespace)
    found = world.cluster.fetch_application(application)
    assert found is not None
    assert (found.name, found.owner) == (application, SHOP_42)
    standing = world.cluster.fetch_namespace(namespace)
    assert standing is not None
    assert (standing.name, standing.owner, standing.deleting) == (namespace, SHOP_42, False)
    assert world.cluster.app_project_exists(namespace)


def test_whoever_comes_again_under_the_same_name_is_another(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    first = world.cluster.fetch_application(name)
    world.delete_application(name)
    assert world.cluster.fetch_application(name) is None
    world.put_application(name, SHOP_42)
    second = world.cluster.fetch_application(name)
    assert first is not None
    assert second is not None
    assert first.uid != second.uid


def test_a_removal_that_is_held_is_seen_as_such(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    world.hold_application(name)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.application(name))
        world.delete_application(name)
        watch.until(lambda it: (found := it.application(name)) and found.deleting)
        world.let_go_of_application(name)
        watch.until(lambda it: it.application(name) is None)


def test_a_namespace_tells_what_holds_it(world: World) -> None:
    name = world.name("preview-shop-pr-42")
    world.put_namespace(name, SHOP_42, held=True)
    with watching(world.cluster) as watch:
        watch.until(lambda it: it.namespace(name))
        world.delete_namespace(name)
        watch.until(
            lambda it: (found := it.namespace(name)) and any(NEVER in p for p in found.problems)
        )
        found = world.cluster.namespace(name)
        assert found is not None
        assert found.deleting
        world.let_go_of_namespace(name)
        watch.until(lambda it: it.namespace(name) is None)
    assert world.cluster.fetch_namespace(name) is None


def test_without_a_migration_that_failed_there_is_no_log(world: World) -> None:
    namespace = world.name("preview-shop-pr-42")
    world.put_namespace(namespace, SHOP_42)
    assert world.cluster.job_log(namespace, 20) == ""
    assert world.cluster.job_log(world.name("preview-of-nobody"), 20) == ""


def test_a_namespace_without_pods_has_an_empty_workload(world: World) -> None:
    namespace = world.name("preview-shop-pr-42")
    world.put_namespace(namespace, SHOP_42)
    assert world.cluster.workload(namespace) == Workload()
    assert world.cluster.workload(world.name("preview-of-nobody")) == Workload()


def test_a_refresh_is_asked_of_an_application_that_is_there(world: World) -> None:
    name = world.name("acme-shop-2")
    assert not world.cluster.refresh_application(name)
    world.put_application(name)
    assert world.cluster.refresh_application(name)
    assert world.refresh_was_asked_of(name)
    assert world.cluster.refresh_application(name)


def test_an_operation_is_ended_only_on_the_very_application_that_is_going(world: World) -> None:
    name = world.name("shop-pr-42")

    def phase() -> str:
        found = world.cluster.fetch_application(name)
        assert found is not None
        return found.operation_phase

    world.put_application(name, SHOP_42)
    world.hold_application(name)
    world.run_operation(name)
    meant = world.cluster.fetch_application(name)
    assert meant is not None
    world.cluster.end_operation(meant)
    assert phase() == "Running", "it is not being deleted"
    world.delete_application(name)
    world.cluster.end_operation(replace(meant, uid="another"))
    assert phase() == "Running", "another one was meant"
    world.cluster.end_operation(meant)
    assert phase() == "Terminating"
    world.cluster.end_operation(meant)
    assert phase() == "Terminating"
    world.let_go_of_application(name)
    world.cluster.end_operation(meant)
    assert world.cluster.fetch_application(name) is None


def owned(world: World) -> dict[tuple[str, str], OwnedObject]:
    return {(each.kind, each.name): each for each in world.cluster.owned_objects()}


def test_the_inventory_is_all_that_carries_our_label_and_nothing_else(world: World) -> None:
    application, namespace = world.name("shop-pr-42"), world.name("preview-shop-pr-42")
    project, foreign = world.name("0-shop-pr-42"), world.name("shop-pr-43")
    root, keep = world.name("acme-shop-2"), f"{world.instance}-shop-2-keep"
    assert owned(world) == {}
    world.put_application(application, SHOP_42)
    world.put_application(root)
    world.put_application(foreign, SHOP_43, instance="somebody-else")
    world.put_namespace(namespace, SHOP_42)
    world.unlabelled_namespace(world.name("preview-shop-pr-44"))
    world.put_app_project(project, SHOP_42)
    world.put_config_maps(keep)
    world.put_config_maps(world.name("else"), instance="somebody-else")
    found = owned(world)
    assert {each: thing.owner for each, thing in found.items()} == {
        ("Application", application): SHOP_42,
        ("Application", root): None,
        ("Namespace", namespace): SHOP_42,
        ("AppProject", project): SHOP_42,
        ("ConfigMap", keep): None,
    }
    assert found["ConfigMap", keep].shard == "shop-2"
    assert all(thing.uid and thing.created_at and not thing.deleting for thing in found.values())


def test_the_inventory_is_read_to_its_last_page(world: World) -> None:
    names = {world.name(f"page-{index:03}") for index in range(PAGE_SIZE + 20)}
    world.put_config_maps(*names)
    assert {name for _, name in owned(world)} == names


@pytest.mark.parametrize("kind", ["Application", "Namespace", "AppProject", "ConfigMap"])
def test_what_was_found_is_deleted_once(world: World, kind: str) -> None:
    name = world.name("shop-pr-42")
    put(world, kind, name)
    found = owned(world)[kind, name]
    assert world.cluster.delete_object(found)
    assert not world.cluster.delete_object(found), "it is gone, or about to go"
    assert all(each.deleting for each in owned(world).values())


@pytest.mark.parametrize("kind", ["Application", "Namespace", "AppProject"])
def test_only_the_very_object_that_was_found_is_deleted(world: World, kind: str) -> None:
    name = world.name("shop-pr-42")
    put(world, kind, name)
    found = owned(world)[kind, name]
    for another in (
        replace(found, uid="00000000-0000-0000-0000-000000000000"),
        replace(found, uid=""),
        replace(found, owner=SHOP_43),
        replace(found, owner=None),
        replace(found, shard="shop-2"),
        replace(found, name=world.name("shop-pr-43")),
    ):
        assert not world.cluster.delete_object(another)
    assert owned(world)[kind, name] == found


def test_what_became_somebody_elses_meanwhile_is_left_alone(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    found = owned(world)["Application", name]
    world.put_application(name, SHOP_42, instance="somebody-else")
    assert not world.cluster.delete_object(found)
    assert world.cluster.fetch_application(name) is not None


def test_what_comes_again_under_the_same_name_before_its_deletion_is_left_alone(
    world: World,
) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    found = owned(world)["Application", name]
    world.delete_application(name)
    world.put_application(name, SHOP_42)
    assert not world.cluster.delete_object(found)
    assert world.cluster.fetch_application(name) is not None


def test_a_finalizer_holds_what_is_deleted(world: World) -> None:
    name = world.name("shop-pr-42")
    world.put_application(name, SHOP_42)
    world.hold_application(name)
    found = owned(world)["Application", name]
    assert world.cluster.delete_object(found)
    assert owned(world)["Application", name].deleting
    assert not world.cluster.delete_object(found)
    world.let_go_of_application(name)
    assert owned(world) == {}


def put(world: World, kind: str, name: str) -> None:
    match kind:
        case "Application":
            world.put_application(name, SHOP_42)
        case "Namespace":
            world.put_namespace(name, SHOP_42)
        case "AppProject":
            world.put_app_project(name, SHOP_42)
        case "ConfigMap":
            world.put_config_maps(name)

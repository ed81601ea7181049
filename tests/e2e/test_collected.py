"""The sweep on a real cluster, with the rights and the policy that charts/previews gives to the manager."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI, Resource
from previews.domain import labels
from previews.domain.inventory import (
    Kind,
    Sweep,
)
from previews.domain.orphans import (
    Limits,
)
from previews.domain.preview import PreviewKey
from previews.errors import StalledError
from previews.reconcile.collector import Collector
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.host_records import HostRecordKeeper
from previews.reconcile.server_watch import ServerWatch
from tests.cluster import RunningCluster
from tests.decoys import REPOSITORY, Decoy, Why, decoys
from tests.fakes.branch import FakeBranch
from tests.fakes.clock import ManualClock
from tests.fakes.forge import FakeForge
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import project
from tests.manager_rights import write_own_kubeconfig
from tests.rendered import PREVIEWS, find_helm, render
from tests.watching import watching
from tests.world.waiting import wait_until

RIGHTS = {
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
TOKEN_SECONDS = 3600
A_WHILE = timedelta(minutes=11)
NAMESPACES = Resource("namespaces", "/api/v1/namespaces")

Object = dict[str, Any]


class Site:
    """The chart's rights, installed for an instance of its own, and objects that carry its label or do not."""

    def __init__(self, cluster: RunningCluster, directory: Path) -> None:
        suffix = secrets.token_hex(3)
        self.cluster = cluster
        self.instance = f"e2e-gc-{suffix}"
        self.project = f"shop-{suffix}"
        self.home = f"previews-{self.instance}"
        self.kubeconfig = directory / "kubeconfig"
        self._made: list[Object] = []
        values = {
            "instance": self.instance,
            "gitops": {"url": "https://git.example/gitops.git"},
            "manager": {"enabled": False},
            "argocd": {"namespace": cluster.argocd_namespace},
        }
        # Among its options the last `--namespace` counts.
        rendered = render(find_helm(), PREVIEWS, values, "--namespace", self.home)
        self.apply([named("v1", "Namespace", self.home)])
        self.apply(found for found in rendered if found["kind"] in RIGHTS)
        token = cluster.service_account_token(self.home, self.home, TOKEN_SECONDS)
        write_own_kubeconfig(self.kubeconfig, cluster, token)

    def apply(self, objects: Iterable[Object]) -> None:
        listed = list(objects)
        self._made += listed
        self.cluster.kubectl("apply", "-f", "-", input=as_list(listed))

    def put(self, *objects: Object) -> None:
        self.apply(objects)

    def made(
        self,
        kind: Kind,
        name: str,
        owner: PreviewKey,
        *,
        instance: str | None = None,
        finalizers: Sequence[str] = (),
        spec: Object | None = None,
    ) -> Object:
        """As our templates make it; with another instance's label, or with none if that is empty."""
        marks = {
            labels.INSTANCE: self.instance if instance is None else instance,
            labels.PROJECT: owner.project,
            labels.NUMBER: str(owner.number),
        }
        metadata: Object = {
            "name": name,
            "labels": {} if instance == "" else marks,
            "finalizers": list(finalizers),
        }
        if kind is Kind.NAMESPACE:
            return {"apiVersion": "v1", "kind": kind.value, "metadata": metadata}
        metadata["namespace"] = self.cluster.argocd_namespace
        version = "argoproj.io/v1alpha1"
        return {"apiVersion": version, "kind": kind.value, "metadata": metadata, "spec": spec or {}}

    def decoy(self, decoy: Decoy) -> Object:
        instance = {Why.PREFIX: "", Why.FOREIGN: "somebody-else"}.get(decoy.why)
        return self.made(decoy.kind, decoy.name, decoy.owner, instance=instance)

    def uids(self) -> dict[str, str]:
        """Of every object that this site made and that is not about to go."""
        items = json.loads(
            self.cluster.kubectl(
                "get", "--ignore-not-found", "-o=json", "-f", "-", input=as_list(self._made)
            )
            or "{}"
        ).get("items", [])
        return {
            f"{each['kind']} {each['metadata']['name']}": each["metadata"]["uid"]
            for each in items
            if "deletionTimestamp" not in each["metadata"]
        }

    def adapter(self) -> KubernetesCluster:
        return KubernetesCluster(
            kubeconfig=self.kubeconfig,
            argocd_namespace=self.cluster.argocd_namespace,
            instance=self.instance,
        )

    def as_manager(self, *arguments: str) -> None:
        """kubectl, with the manager's rights."""
        # Of two, the last one counts.
        self.cluster.kubectl(*arguments, f"--kubeconfig={self.kubeconfig}")

    def clear(self) -> None:
        """The rights last: they are what was made first."""
        for kind in ("Application", ""):
            gone = [each for each in reversed(self._made) if each["kind"].startswith(kind)]
            if gone:
                self.cluster.kubectl(
                    "delete", "--ignore-not-found", "--wait=false", "-f", "-", input=as_list(gone)
                )


def named(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def as_list(items: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture(scope="module")
def site(cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(cluster, tmp_path_factory.mktemp("site"))
    try:
        wait_until("the policy is in force", lambda: refuses_unlabelled(made))
        yield made
    finally:
        made.clear()


def refuses_unlabelled(site: Site) -> bool:
    """Of the site's own namespace, which carries no label; nothing is deleted by a dry run."""
    try:
        site.as_manager("delete", "--dry-run=server", "namespace", site.home)
    except CalledProcessError as error:
        return "deletes only what is labelled" in error.stderr
    return False


class Witness:
    """Lets a test come between a look and a deletion."""

    def __init__(self) -> None:
        self.deleting: list[str] = []
        self.before_deletion: Callable[[str], None] = lambda _subject: None

    def before(self, effect: Effect, subject: str) -> None:
        if effect is Effect.COLLECT:
            self.before_deletion(subject)

    def after(self, effect: Effect, subject: str) -> None:
        if effect is Effect.COLLECT:
            self.deleting.append(subject)


class Sweeper:
    """A collector over the real cluster; forge, store and Git are in memory."""

    def __init__(self, site: Site, adapter: KubernetesCluster, *, per_sweep: int = 10) -> None:
        self.forge = FakeForge()
        self.forge.add_repository(REPOSITORY)
        self.branch = FakeBranch(instance=site.instance)
        self.clock = ManualClock()
        self.witness = Witness()
        self._cluster = adapter
        self.collector = Collector(
            projects={site.project: replace(project(site.project), repository=REPOSITORY)},
            forge=self.forge,
            store=InMemoryStore(),
            cluster=adapter,
            servers=ServerWatch({}, lambda _keys: None),
            host_records=HostRecordKeeper(None, Effects(self.witness)),
            deployments=DeploymentInventory(
                None, Effects(self.witness), instance=site.instance, repositories=()
            ),
            branch=self.branch,
            writer=self.branch,
            effects=Effects(self.witness),
            clock=self.clock,
            limits=Limits(per_sweep=per_sweep),
            name_of=str,
        )

    def sweep(self, *, dry_run: bool = False) -> Sweep:
        wait_until("the cluster is watched", lambda: self._cluster.problem() is None)
        # Our decoys are most of what this instance owns, so that this is a mass.
        return self.collector.collect(dry_run=dry_run, actor="a test", confirmed=True)


def test_a_namespace_without_our_label_cannot_be_deleted_even_when_asked_for(site: Site) -> None:
    decoy = f"preview-{site.project}-pr-1"
    site.put(site.made(Kind.NAMESPACE, decoy, PreviewKey(site.project, 1), instance=""))
    api = KubernetesAPI(kubeconfig=site.kubeconfig, times=ClusterTimes())
    found = api.fetch(NAMESPACES, decoy)
    assert found is not None
    meant = {"uid": found["metadata"]["uid"], "version": found["metadata"]["resourceVersion"]}
    with pytest.raises(StalledError) as refused:
        api.delete(NAMESPACES, decoy, **meant)
    assert refused.value.reason == "ClusterForbidden"
    assert "ValidatingAdmissionPolicy" in refused.value.message
    assert f"Namespace {decoy}" in site.uids()


def test_neither_another_managers_nor_argocds_own_objects_can_be_deleted(site: Site) -> None:
    foreign = f"preview-{site.project}-pr-2"
    key = PreviewKey(site.project, 2)
    site.put(site.made(Kind.NAMESPACE, foreign, key, instance="somebody-else"))
    api = KubernetesAPI(kubeconfig=site.kubeconfig, times=ClusterTimes())
    argocd = site.cluster.argocd_namespace
    config_maps = Resource("configmaps", f"/api/v1/namespaces/{argocd}/configmaps")
    app_projects = Resource(
        "appprojects.argoproj.io", f"/apis/argoproj.io/v1alpha1/namespaces/{argocd}/appprojects"
    )
    for resource, name in (
        (NAMESPACES, foreign),
        (NAMESPACES, argocd),
        (NAMESPACES, site.home),
        (config_maps, "argocd-cm"),
        (app_projects, "default"),
    ):
        found = api.fetch(resource, name)
        assert found is not None, name
        uid, version = (str(found["metadata"][each]) for each in ("uid", "resourceVersion"))
        with pytest.raises(StalledError, match="deletes only what is labelled"):
            api.delete(resource, name, uid=uid, version=version)


def test_nothing_can_be_deleted_without_the_uid_of_what_is_meant(site: Site) -> None:
    name, key = f"0-{site.project}-pr-3", PreviewKey(site.project, 3)
    site.put(site.made(Kind.APP_PROJECT, name, key))
    argocd = f"--namespace={site.cluster.argocd_namespace}"
    with pytest.raises(CalledProcessError) as refused:
        # kubectl puts no UID into what it asks for.
        site.as_manager("delete", argocd, "appproject", name)
    assert "without the UID" in str(refused.value.stderr)
    adapter = site.adapter()
    (found,) = (each for each in adapter.owned_objects() if each.name == name)
    assert adapter.delete_object(found)
    assert adapter.owned_objects() == []


@pytest.mark.fault(29)
def test_what_a_preview_left_goes_to_the_last_object(site: Site) -> None:
    """Argo CD itself takes the workload away with the Application, whose repository is not even there."""
    adapter = site.adapter()
    sweeper = Sweeper(site, adapter)
    key = PreviewKey(site.project, sweeper.forge.open_pull_request(REPOSITORY, "b", "t"))
    stem = f"{site.project}-pr-{key.number}"
    destination = {"server": "https://kubernetes.default.svc", "namespace": f"preview-{stem}"}
    repository = "http://127.0.0.1:9/none.git"
    fence = {"sourceRepos": [repository], "destinations": [destination]}
    spec = {
        "project": f"0-{stem}",
        "source": {"repoURL": repository, "path": "chart"},
        "destination": destination,
    }
    finalizers = ["resources-finalizer.argocd.argoproj.io"]
    site.put(
        site.made(Kind.NAMESPACE, f"preview-{stem}", key),
        site.made(Kind.APP_PROJECT, f"0-{stem}", key, spec=fence),
        site.made(Kind.APPLICATION, stem, key, spec=spec, finalizers=finalizers),
    )
    with watching(adapter):
        assert sweeper.sweep().orphans == (), "its pull request is open"
        sweeper.forge.close(REPOSITORY, key.number)
        sweeper.sweep()
        sweeper.clock.move(A_WHILE)
        assert [each.owned.kind for each in sweeper.sweep().removed] == [Kind.APPLICATION]
        wait_until(
            "Argo CD has let the Application go", lambda: adapter.fetch_application(stem) is None
        )
        removed = {each.owned.kind for each in sweeper.sweep().removed}
        assert removed == {Kind.APP_PROJECT, Kind.NAMESPACE}
        wait_until("nothing is left of it", lambda: not adapter.owned_objects())


def test_fifty_decoys_stay_and_what_was_planned_is_what_goes(site: Site) -> None:
    adapter = site.adapter()
    sweeper = Sweeper(site, adapter, per_sweep=60)
    planted = {decoy.name: decoy for decoy in decoys(sweeper.forge, project=site.project)}
    site.put(*map(site.decoy, planted.values()))
    number = sweeper.forge.open_pull_request(REPOSITORY, "b", "t")
    sweeper.forge.close(REPOSITORY, number)
    orphan = f"preview-{site.project}-pr-{number}"
    site.put(site.made(Kind.NAMESPACE, orphan, PreviewKey(site.project, number)))
    before = site.uids()

    def renew(subject: str) -> None:
        decoy = planted.get(subject.partition(" ")[2])
        if decoy is not None and decoy.why is Why.RENEWED:
            argocd = f"--namespace={site.cluster.argocd_namespace}"
            site.cluster.kubectl("delete", argocd, f"appproject/{decoy.name}")
            site.put(site.decoy(decoy))

    sweeper.witness.before_deletion = renew
    with watching(adapter):
        sweeper.sweep(dry_run=True)
        sweeper.clock.move(A_WHILE)
        planned = sweeper.sweep(dry_run=True).planned
        assert site.uids() == before, "that was for show"
        swept = sweeper.sweep()
    assert swept.planned == planned
    assert [each.owned.name for each in swept.removed] == [orphan]
    after = site.uids()
    renewed = {f"AppProject {d.name}" for d in planted.values() if d.why is Why.RENEWED}
    assert len(planted) == 50
    assert {f"{decoy.kind} {decoy.name}" for decoy in planted.values()} <= after.keys()
    changed = {name for name, uid in before.items() if after.get(name) != uid}
    assert changed == renewed | {f"Namespace {orphan}"}
    assert {each.owned.name for each in planned} == {
        orphan,
        *(name.partition(" ")[2] for name in renewed),
    }

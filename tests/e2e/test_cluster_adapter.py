"""The cluster adapter beside a real Argo CD, under the manager's own rights."""

import json
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.domain.ports import Cluster
from previews.domain.preview import Application, PreviewKey
from previews.errors import StalledError
from tests.cluster import RunningCluster, preflight, running
from tests.git_remote import GitRemote
from tests.manager_rights import manager_kubeconfig
from tests.watching import watching

SHOP_42 = PreviewKey("shop", 42)
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "chart/templates/page.yaml": (
        "apiVersion: v1\n"
        "kind: ConfigMap\n"
        "metadata: {name: page}\n"
        "data: {tag: {{ .Values.tag | quote }}, note: one}\n"
    ),
    "chart/templates/refused.yaml": (
        "{{ if .Values.refused }}\n"
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: ClusterRole\n"
        "metadata: {name: previews-e2e-refused}\n"
        "{{ end }}\n"
    ),
    "chart/templates/impossible.yaml": (
        "{{ if .Values.impossible }}\n"
        "apiVersion: v1\n"
        "kind: Service\n"
        "metadata: {name: impossible}\n"
        "spec: {ports: [{port: 99999}]}\n"
        "{{ end }}\n"
    ),
}


class Preview:
    """One Application as a root would create it, with its namespace and AppProject."""

    def __init__(self, cluster: RunningCluster, directory: Path) -> None:
        self._cluster = cluster
        suffix = secrets.token_hex(3)
        self.instance = f"e2e-{suffix}"
        self.name = f"shop-pr-42-{suffix}"
        self.namespace = f"preview-{self.name}"
        self.git = GitRemote(directory / "git")
        self.git.commit(CHART)
        labels = {
            "previews.dev/instance": self.instance,
            "previews.dev/project": "shop",
            "pr": "42",
        }
        self._application_labels = labels
        project = {
            "sourceRepos": [self.git.url],
            "destinations": [
                {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
            ],
        }
        self._apply("v1", "Namespace", self.namespace, labels=labels)
        self._apply(
            "argoproj.io/v1alpha1", "AppProject", self.namespace, labels=labels, spec=project
        )

    def deploy(self, digest: str, *, retries: int = 0, **values: object) -> None:
        source = {
            "repoURL": self.git.url,
            "path": "chart",
            "targetRevision": "refs/heads/main",
            # Argo CD leaves out what is empty when it says what it compared.
            "helm": {"valuesObject": {"refused": False, **values}, "skipCrds": False},
        }
        spec = {
            "project": self.namespace,
            "source": source,
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": self.namespace,
            },
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "retry": {"limit": retries, "backoff": {"duration": "10m", "maxDuration": "1h"}},
            },
        }
        self._apply(
            "argoproj.io/v1alpha1",
            "Application",
            self.name,
            labels=self._application_labels,
            annotations={"previews.dev/digest": digest},
            finalizers=["resources-finalizer.argocd.argoproj.io"],
            spec=spec,
        )

    def tag_in_cluster(self) -> str:
        return self._cluster.kubectl(
            "get", "configmap/page", f"--namespace={self.namespace}", "-o=jsonpath={.data.tag}"
        )

    def note_in_cluster(self) -> str:
        return self._cluster.kubectl(
            "get", "configmap/page", f"--namespace={self.namespace}", "-o=jsonpath={.data.note}"
        )

    def delete(self) -> None:
        self._in_argocd("delete", f"application/{self.name}", "--wait=false")

    def clear(self) -> None:
        self._in_argocd("delete", f"application/{self.name}", "--ignore-not-found")
        self._in_argocd("delete", f"appproject/{self.namespace}")
        self._cluster.kubectl("delete", "--wait=false", f"namespace/{self.namespace}")

    def _in_argocd(self, verb: str, *arguments: str) -> str:
        namespace = f"--namespace={self._cluster.argocd_namespace}"
        return self._cluster.kubectl(verb, namespace, *arguments)

    def _apply(
        self, version: str, kind: str, name: str, *, spec: object = None, **metadata: object
    ) -> None:
        wanted: dict[str, object] = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, **metadata},
        }
        if spec is not None:
            wanted["spec"] = spec
        text = json.dumps(wanted)
        # The namespace counts only for what lies in one.
        self._cluster.kubectl(
            "apply", f"--namespace={self._cluster.argocd_namespace}", "-f", "-", input=text
        )


@pytest.fixture(scope="module")
def local_cluster() -> RunningCluster:
    found = running()
    if found is None:
        pytest.skip(preflight() or "the local cluster is not running (make cluster-up)")
    return found


@pytest.fixture(scope="module")
def kubeconfig(
    local_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    with manager_kubeconfig(
        local_cluster,
        tmp_path_factory.mktemp("manager"),
        home=f"previews-e2e-{secrets.token_hex(3)}",
        argocd_namespace=local_cluster.argocd_namespace,
    ) as file:
        yield file


@pytest.fixture
def preview(local_cluster: RunningCluster, tmp_path: Path) -> Iterator[Preview]:
    made = Preview(local_cluster, tmp_path)
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def cluster(local_cluster: RunningCluster, kubeconfig: Path, preview: Preview) -> KubernetesCluster:
    return KubernetesCluster(
        kubeconfig=kubeconfig,
        argocd_namespace=local_cluster.argocd_namespace,
        instance=preview.instance,
    )


def deployed(name: str, digest: str, cluster: Cluster) -> bool:
    return is_proven(cluster.application(name), digest)


def is_proven(found: Application | None, digest: str) -> bool:
    """As the plan has it, but for the image and the answer of the URL."""
    return (
        found is not None
        and found.digest == digest
        and found.proven_for_spec
        and (found.sync, found.health, found.operation_phase) == ("Synced", "Healthy", "Succeeded")
    )


def test_nothing_counts_as_deployed_before_it_is(
    preview: Preview, cluster: KubernetesCluster
) -> None:
    with watching(cluster) as watch:
        for tag in ("one", "two", "three", "four"):
            preview.deploy(tag, tag=tag)
            watch.until(partial(deployed, preview.name, tag))
            assert preview.tag_in_cluster() == tag
        found = cluster.application(preview.name)
        assert found is not None
        assert found.owner == SHOP_42
        assert found.revisions == {preview.git.tip}
        assert found.problems == ()
        assert cluster.problem() is None
        cluster.check()


def test_a_change_that_leads_to_the_same_objects_is_done_without_a_sync(
    preview: Preview, cluster: KubernetesCluster
) -> None:
    with watching(cluster) as watch:
        preview.deploy("d1", tag="t")
        watch.until(partial(deployed, preview.name, "d1"))
        preview.deploy("d2", tag="t", unused="by this chart")
        watch.until(partial(deployed, preview.name, "d2"))


def test_a_push_is_seen_at_once_after_a_refresh(
    preview: Preview, cluster: KubernetesCluster
) -> None:
    with watching(cluster) as watch:
        preview.deploy("d", tag="t")
        watch.until(partial(deployed, preview.name, "d"))
        page = CHART["chart/templates/page.yaml"]
        pushed = preview.git.commit({"chart/templates/page.yaml": page.replace("one", "two")})
        assert cluster.refresh_application(preview.name)
        watch.until(
            lambda it: (
                is_proven(found := it.application(preview.name), "d")
                and found is not None
                and found.revisions == {pushed}
            )
        )
        assert preview.note_in_cluster() == "two"


def test_what_argocd_refuses_is_told_though_it_reads_healthy(
    preview: Preview, cluster: KubernetesCluster
) -> None:
    with watching(cluster) as watch:
        preview.deploy("d1", tag="t", refused=True)
        watch.until(lambda it: (found := it.application(preview.name)) and found.problems)
        found = cluster.application(preview.name)
        assert found is not None
        assert "ClusterRole" in found.problems[0]
        assert "not permitted" in found.problems[0]
        preview.deploy("d2", tag="t")
        watch.until(partial(deployed, preview.name, "d2"))
        found = cluster.application(preview.name)
        assert found is not None
        assert found.problems == ()


@pytest.mark.fault(28)
def test_a_preview_whose_sync_waits_for_its_next_attempt_goes_once_that_is_ended(
    preview: Preview, cluster: KubernetesCluster
) -> None:
    with watching(cluster) as watch:
        preview.deploy("d", tag="t", impossible=True, retries=5)
        watch.until(
            lambda it: (
                (found := it.application(preview.name))
                and found.operation_phase == "Running"
                and "etry" in found.operation_message
            )
        )
        preview.delete()
        watch.until(lambda it: (found := it.application(preview.name)) and found.deleting)
        found = cluster.application(preview.name)
        assert found is not None
        # The next attempt is ten minutes away, and nothing is deleted before it.
        cluster.end_operation(found)
        watch.until(lambda it: it.application(preview.name) is None)
    assert cluster.fetch_application(preview.name) is None


def test_a_right_that_the_manager_does_not_have_is_named(kubeconfig: Path) -> None:
    elsewhere = KubernetesCluster(
        kubeconfig=kubeconfig, argocd_namespace="kube-system", instance="e2e"
    )
    with pytest.raises(StalledError) as raised:
        elsewhere.check()
    assert raised.value.reason == "ClusterForbidden"
    assert "may not list applications.argoproj.io in namespace kube-system" in raised.value.message

"""A cluster, the fake or Kubernetes, for all that is told to every cluster; and what others do to it."""

import json
import secrets
from pathlib import Path
from typing import Any, Protocol

from previews.adapters.cluster import KubernetesCluster
from previews.domain.ports import Cluster
from previews.domain.preview import PreviewKey
from tests.cluster import RunningCluster
from tests.fakes.cluster import FakeCluster

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

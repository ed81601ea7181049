"""Installs charts/previews as an administrator does, without its Deployment: the manager runs here."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import RunningCluster
from tests.cluster.builds import KUBERNETES_VERSION
from tests.kubeconfig import kubeconfig
from tests.world.kubernetes import Kubernetes
from tests.world.manager import Manager
from tests.world.teardown import remove_namespace

CHART = Path(__file__).parents[2] / "charts" / "previews"
TOKEN_SECONDS = 12 * 3600

Object = dict[str, Any]


@dataclass(frozen=True)
class GitOpsAddress:
    """What Argo CD needs to read the GitOps repository."""

    url: str
    branch: str
    path: str
    username: str
    password: str


class Installation:
    """One release of the chart: the rights, the roots' AppProject and the top Application."""

    def __init__(
        self, cluster: RunningCluster, instance: str, waiting_zone: str | None = None
    ) -> None:
        """With a `waiting_zone` every host in it that no preview claims leads to the manager."""
        self._cluster = cluster
        self._instance = instance
        self._waiting_zone = waiting_zone
        self.namespace = f"previews-{instance}"
        """Of the manager itself."""
        self.service_account = f"previews-{instance}"

    def install(self, gitops: GitOpsAddress, manager: Manager) -> Path:
        """Apply the chart. Returns the kubeconfig of the manager's ServiceAccount."""
        self._apply([self._namespace(), self._repository_secret(gitops)])
        manifests = manager.write_secret("installed.yaml", self._render(gitops, manager))
        self._cluster.kubectl("apply", "--server-side", "-f", str(manifests))
        return manager.write_secret("kubeconfig", json.dumps(self._kubeconfig()))

    def uninstall_with_helm(self, gitops: GitOpsAddress) -> None:
        """Make a release of what is installed, and take that back as its administrator would."""
        values = json.dumps(self._values(gitops))
        take = ("upgrade", "--install", "--take-ownership", self._instance, str(CHART))
        self._helm(*take, "--values", "-", input=values)
        self._helm("uninstall", self._instance, "--wait")

    def _helm(self, *arguments: str, input: str = "") -> str:  # noqa: A002 - as subprocess.run has it
        done = subprocess.run(
            [
                *(str(self._cluster.bin_dir / "helm"), *arguments),
                *("--namespace", self.namespace, "--kubeconfig", str(self._cluster.kubeconfig)),
            ],
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"helm {arguments[0]} {CHART}: {done.stderr}")
        return done.stdout

    def remove(self, kubernetes: Kubernetes) -> None:
        """Take it back; nothing happens if it is not there."""
        rendered = self._render(GitOpsAddress("http://gitops.invalid", "main", "previews", "", ""))
        self._cluster.kubectl("delete", "--ignore-not-found", "-f", "-", input=rendered)
        secrets = f"/api/v1/namespaces/{self._cluster.argocd_namespace}/secrets"
        kubernetes.delete(f"{secrets}/{self.repository_secret}")
        remove_namespace(kubernetes, self.namespace)

    def _values(self, gitops: GitOpsAddress, manager: Manager | None = None) -> Object:
        values: Object = {
            "instance": self._instance,
            "manager": {"enabled": False},
            "argocd": {"namespace": self._cluster.argocd_namespace},
            "gitops": {"url": gitops.url, "branch": gitops.branch, "path": gitops.path},
            "secrets": {"sealedSecrets": {"enabled": True}, "kubernetes": {"enabled": True}},
        }
        if self._waiting_zone and manager:
            values["manager"]["port"] = manager.port
            values["wildcard"] = {
                "enabled": True,
                "zone": self._waiting_zone,
                "className": self._cluster.ingress_class,
                "address": manager.host,
            }
        return values

    def _render(self, gitops: GitOpsAddress, manager: Manager | None = None) -> str:
        values = self._values(gitops, manager)
        rendered = subprocess.run(
            [
                *(str(self._cluster.bin_dir / "helm"), "template", self._instance, str(CHART)),
                *("--namespace", self.namespace, "--values", "-"),
                # Without a cluster to ask, helm takes itself to be on an old one.
                *("--kube-version", KUBERNETES_VERSION),
            ],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
        )
        if rendered.returncode:
            raise RuntimeError(f"helm template {CHART}: {rendered.stderr}")
        return rendered.stdout

    def _apply(self, objects: list[Object]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self._cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(listed))

    def _namespace(self) -> Object:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}

    def _repository_secret(self, gitops: GitOpsAddress) -> Object:
        """How Argo CD is given a private repository."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.repository_secret,
                "namespace": self._cluster.argocd_namespace,
                "labels": {"argocd.argoproj.io/secret-type": "repository"},
            },
            "stringData": {
                "type": "git",
                "url": gitops.url,
                "username": gitops.username,
                "password": gitops.password,
            },
        }

    @property
    def repository_secret(self) -> str:
        return f"repository-{self._instance}-gitops"

    def _kubeconfig(self) -> Object:
        token = self._cluster.service_account_token(
            self.namespace, self.service_account, TOKEN_SECONDS
        )
        return kubeconfig(
            self._cluster.api_server,
            token,
            ca_file=self._cluster.ca_file,
            namespace=self.namespace,
        )

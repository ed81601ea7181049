"""A ServiceAccount that may do what the manager may, on the real cluster, and a kubeconfig that holds its token."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import RunningCluster
from tests.kubeconfig import kubeconfig

ACCOUNT = "previews-manager"
TOKEN_SECONDS = 3600


@contextmanager
def manager_kubeconfig(
    cluster: RunningCluster, directory: Path, *, home: str, argocd_namespace: str
) -> Iterator[Path]:
    """The account lives in namespace `home`, which is made and removed; it may be the same."""
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": home}
    name = f"{home}-manager"
    rights = [
        _named("v1", "Namespace", home),
        _named("v1", "ServiceAccount", ACCOUNT, home),
        _role("Role", name, ARGOCD_RIGHTS, argocd_namespace),
        _binding("RoleBinding", "Role", name, subject, argocd_namespace),
        _role("ClusterRole", name, CLUSTER_RIGHTS),
        _binding("ClusterRoleBinding", "ClusterRole", name, subject),
    ]
    # The namespace first, since the list is applied in its order.
    cluster.kubectl("apply", "-f", "-", input=json.dumps(_list(rights)))
    try:
        file = directory / f"{home}.kubeconfig"
        token = cluster.service_account_token(home, ACCOUNT, TOKEN_SECONDS)
        write_own_kubeconfig(file, cluster, token)
        yield file
    finally:
        cluster.kubectl(
            "delete",
            "--ignore-not-found",
            "--wait=false",
            "-f",
            "-",
            input=json.dumps(_list(rights)),
        )


def write_own_kubeconfig(file: Path, cluster: RunningCluster, token: str) -> None:
    """With the authority in it, as cloud providers hand them out."""
    content = kubeconfig(cluster.api_server, token)
    authority = base64.b64encode(cluster.ca_file.read_bytes()).decode()
    content["clusters"][0]["cluster"]["certificate-authority-data"] = authority
    file.write_text(json.dumps(content))
    file.chmod(0o600)


Object = dict[str, object]

ARGOCD_RIGHTS = [
    {
        "apiGroups": ["argoproj.io"],
        "resources": ["applications"],
        "verbs": ["get", "list", "watch", "patch", "delete"],
    },
    {
        "apiGroups": ["argoproj.io"],
        "resources": ["appprojects"],
        "verbs": ["get", "list", "delete"],
    },
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "delete"]},
]
CLUSTER_RIGHTS = [
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]
SECRET_RIGHTS: dict[str, list[dict[str, list[str]]]] = {
    "sealedSecrets": [
        {"apiGroups": ["bitnami.com"], "resources": ["sealedsecrets"], "verbs": ["get"]}
    ],
    "externalSecrets": [
        {"apiGroups": ["external-secrets.io"], "resources": ["externalsecrets"], "verbs": ["get"]}
    ],
    "kubernetes": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]}],
}
"""In the whole cluster as well, by the value that asks for them.

All are those of charts/previews; the policies that narrow them are tried as the chart itself makes them (tests/e2e).
"""
_RBAC = "rbac.authorization.k8s.io"


def _list(items: list[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _named(version: str, kind: str, name: str, namespace: str = "") -> Object:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _role(kind: str, name: str, rules: list[dict[str, list[str]]], namespace: str = "") -> Object:
    return {**_named(f"{_RBAC}/v1", kind, name, namespace), "rules": rules}


def _binding(
    kind: str, role: str, name: str, subject: dict[str, str], namespace: str = ""
) -> Object:
    return {
        **_named(f"{_RBAC}/v1", kind, name, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": role, "name": name},
        "subjects": [subject],
    }

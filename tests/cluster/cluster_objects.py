"""What the cluster holds from the start: Argo CD's kinds and settings, and the rights and class of the ingress."""

import json
import subprocess
import time
from collections.abc import Sequence

from tests.cluster.builds import BUILDS
from tests.cluster.layout import API_URL, ARGOCD_NAMESPACE, INGRESS_CLASS, Layout
from tests.cluster.processes import POLL_SECONDS
from tests.cluster.progress import StepError
from tests.cluster.readiness import fetch

ARGOCD_KINDS = ("applications", "applicationsets", "appprojects")
KINDS_FORMAT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
KINDS_SECONDS = 30.0
PART_OF_ARGOCD = {"app.kubernetes.io/part-of": "argocd"}


def ensure_cluster_objects(layout: Layout, secrets: dict[str, str]) -> None:
    """Applied as one owner, so that a second `up` changes nothing that a test set beside it."""
    argocd = BUILDS["argocd"].folder
    kubectl(layout, "apply", "--server-side", "-k", str(argocd / "crds"))
    apply_objects(layout, [namespace(), *ingress_objects()])
    settings = ("--server-side", "-n", ARGOCD_NAMESPACE, "-k", str(argocd / "configuration"))
    kubectl(layout, "apply", *settings)
    wait_for_kinds(layout, secrets["admin"], ARGOCD_KINDS)
    apply_objects(layout, argocd_objects(secrets))


def wait_for_kinds(layout: Layout, token: str, kinds: Sequence[str]) -> None:
    """A new kind is served a while before the list of kinds, which kubectl goes by, has it."""
    ca_file = layout.pki / "ca.crt"
    deadline = time.monotonic() + KINDS_SECONDS
    while True:
        listed = fetch(f"{API_URL}/apis", token=token, ca_file=ca_file, accept=KINDS_FORMAT)
        if all(f'"resource":"{kind}"'.encode() in listed for kind in kinds):
            return
        if time.monotonic() > deadline:
            log = layout.log("kube-apiserver")
            raise StepError(f"the API server does not list {', '.join(kinds)}", log)
        time.sleep(POLL_SECONDS)


def apply_objects(layout: Layout, objects: list[dict[str, object]]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    arguments = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    kubectl(layout, *arguments, text=json.dumps(listed))


def kubectl(layout: Layout, *arguments: str, text: str | None = None) -> str:
    """What kubectl prints, as the cluster's administrator."""
    return run_program(
        [
            str(layout.bin / "kubectl"),
            f"--kubeconfig={layout.kubeconfig('admin')}",
            f"--cache-dir={layout.data}/kubectl-cache",
            *arguments,
        ],
        text=text,
    )


def run_program(argv: list[str], *, text: str | None = None) -> str:
    """What it prints. Raises StepError with what it complains of."""
    ended = subprocess.run(
        argv,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise StepError(f"{' '.join(argv)} failed: {ended.stderr.strip()}")
    return ended.stdout


def namespace() -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ARGOCD_NAMESPACE}}


def argocd_objects(secrets: dict[str, str]) -> list[dict[str, object]]:
    """The settings that the defaults leave open, and the AppProject that Argo CD expects to exist."""
    secret: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "argocd-secret",
            "namespace": ARGOCD_NAMESPACE,
            "labels": PART_OF_ARGOCD,
        },
        "stringData": {"server.secretkey": secrets["argocd-server"]},
    }
    project: dict[str, object] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": ARGOCD_NAMESPACE},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
    return [secret, project]


def ingress_objects() -> list[dict[str, object]]:
    reading = ["get", "list", "watch"]
    role: dict[str, object] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "traefik"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["services", "secrets", "nodes"],
                "verbs": reading,
            },
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": reading,
            },
            {
                "apiGroups": ["networking.k8s.io"],
                "resources": ["ingresses", "ingressclasses"],
                "verbs": reading,
            },
            {
                "apiGroups": ["networking.k8s.io"],
                "resources": ["ingresses/status"],
                "verbs": ["update"],
            },
        ],
    }
    binding: dict[str, object] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "traefik"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "traefik",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "traefik"}],
    }
    ingress_class: dict[str, object] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": INGRESS_CLASS,
            "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
        },
        "spec": {"controller": "traefik.io/ingress-controller"},
    }
    return [role, binding, ingress_class]

"""What the sealed-secrets controller finds in the cluster: its own chart's kind and rights, and a Service before it."""

import json
from pathlib import Path

import yaml

from tests.cluster.builds import BUILDS
from tests.cluster.cluster_objects import apply_objects, kubectl, run_program
from tests.cluster.credentials import write_private
from tests.cluster.layout import (
    NODE_IP,
    SEALED_SECRETS,
    SEALED_SECRETS_NAMESPACE,
    SEALED_SECRETS_PORT,
    Layout,
)

TOKEN_DURATION = "8760h"
RIGHTS = ("service-account", "cluster-role", "cluster-role-binding", "role", "role-binding")


def ensure_sealed_secrets_objects(layout: Layout) -> None:
    """The kind, the controller's rights, the Service that leads to it, and a token of its ServiceAccount."""
    chart = BUILDS["sealed-secrets"].folder / "chart"
    kubectl(layout, "apply", "--server-side", "-f", str(chart / "crds"))
    apply_objects(layout, [*rights(layout, chart), *service()])
    standing = {"phase": "Running", "podIP": NODE_IP, "podIPs": [{"ip": NODE_IP}]}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": standing}))
    kubectl(layout, "patch", "pod", SEALED_SECRETS, "-n", SEALED_SECRETS_NAMESPACE, *patch)
    account = layout.sealed_secrets_account
    account.mkdir(mode=0o700, exist_ok=True)
    where = ("-n", SEALED_SECRETS_NAMESPACE, f"--duration={TOKEN_DURATION}")
    token = kubectl(layout, "create", "token", SEALED_SECRETS, *where)
    write_private(account / "token", token.strip())
    write_private(account / "namespace", SEALED_SECRETS_NAMESPACE)
    write_private(account / "ca.crt", (layout.pki / "ca.crt").read_text())


def rights(layout: Layout, chart: Path) -> list[dict[str, object]]:
    shown = (part for name in RIGHTS for part in ("--show-only", f"templates/{name}.yaml"))
    rendered = run_program(
        [
            *(f"{layout.bin}/helm", "template", SEALED_SECRETS, str(chart)),
            *("--namespace", SEALED_SECRETS_NAMESPACE),
            *("--set", f"fullnameOverride={SEALED_SECRETS}"),
            *shown,
        ]
    )
    return [found for found in yaml.safe_load_all(rendered) if found]


def service() -> list[dict[str, object]]:
    """A Service that leads to this machine's own address, by way of a pod that nobody runs.

    The API server's proxy goes to addresses of pods alone, and finds them in Endpoints rather than EndpointSlices.
    """
    place = {"name": SEALED_SECRETS, "namespace": SEALED_SECRETS_NAMESPACE}
    port = {"name": "http", "port": 8080, "protocol": "TCP"}
    address = {"ip": NODE_IP, "targetRef": {"kind": "Pod", **place}}
    subset = {"addresses": [address], "ports": [{**port, "port": SEALED_SECRETS_PORT}]}
    container = {"name": "controller", "image": "none.invalid/none"}
    pod = {"schedulerName": "none", "serviceAccountName": SEALED_SECRETS, "containers": [container]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": place, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": {"ports": [port]}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": place, "subsets": [subset]},
    ]

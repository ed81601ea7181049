"""Pods that try what they reach, under the rules of Pod Security `restricted`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster import RunningCluster
from tests.world.waiting import wait_until

CONNECT_SECONDS = 3
IDLE = "while :; do sleep 3600; done"

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """One that does nothing by itself."""

    cluster: RunningCluster
    namespace: str
    name: str

    def reaches(self, address: str, port: int) -> bool:
        """Whether it can begin a TCP connection; what listens there ends it."""
        attempt = f"nc -w {CONNECT_SECONDS} {address} {port}"
        said = self.run(f"if {attempt} </dev/null >/dev/null 2>&1; then echo yes; else echo no; fi")
        assert said in {"yes", "no"}, said
        return said == "yes"

    def resolves(self, host: str, address: str) -> bool:
        """Whether its resolver finds this address, as any program in it would ask for it."""
        return f"Address: {address}" in self.run(f"nslookup -type=a {host} || true")

    def run(self, script: str) -> str:
        where = ("exec", "-n", self.namespace, self.name, "--")
        return self.cluster.kubectl(*where, "sh", "-c", script).strip()


def start_pod(cluster: RunningCluster, image: str, namespace: str, name: str = "probe") -> Pod:
    """Running, and known to the network."""
    cluster.kubectl("apply", "-f", "-", input=json.dumps(_pod(image, namespace, name)))
    pod = Pod(cluster, namespace, name)
    wait_until(f"{namespace}/{name} runs", lambda: _phase(pod) == "Running")
    return pod


@contextmanager
def namespace_of_nobody(cluster: RunningCluster, name: str) -> Iterator[str]:
    """A namespace without any policy, for as long as the block runs."""
    try:
        cluster.kubectl("create", "namespace", name)
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=true")


def page_address(cluster: RunningCluster, namespace: str) -> str:
    """The address of the pod that serves a preview's page."""
    addresses = cluster.kubectl(
        *("get", "pods", "-n", namespace, "--selector=app.kubernetes.io/name"),
        *("--field-selector=status.phase=Running", "-o=jsonpath={.items[*].status.podIP}"),
    ).split()
    assert addresses, f"no pod of {namespace} runs"
    return addresses[-1]


def _phase(pod: Pod) -> str:
    return pod.cluster.kubectl(
        "get", "pod", "-n", pod.namespace, pod.name, "-o=jsonpath={.status.phase}"
    )


def _pod(image: str, namespace: str, name: str) -> Object:
    container = {
        "name": "probe",
        "image": image,
        "command": ["sh", "-c", IDLE],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "32Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }

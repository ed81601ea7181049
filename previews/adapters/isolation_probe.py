"""Finds out whether the cluster enforces the previews' NetworkPolicy: by pods that try what it forbids.

Everything made lies in two namespaces that carry our instance's label and the doctor's. They are deleted at the end;
what a killed run left is deleted by the next one.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Event

from previews.adapters.access_review import AccessReview
from previews.adapters.cluster import ATTEMPTS_AT_CONFLICTS
from previews.adapters.kubernetes_answers import ConflictError, Raw
from previews.adapters.kubernetes_api import Resource
from previews.adapters.one_line import one_line
from previews.domain import labels
from previews.errors import TransientError

DOCTOR = "previews.dev/doctor"
"""The label of what the doctor makes."""
PORT = 8080
KUBELET_PORT = 10250
START_SECONDS = 60.0
"""For an image to be pulled and a pod to run."""
TRY_SECONDS = 120.0
LEFT_BEHIND_SECONDS = 300.0
"""After which a namespace of the doctor's is no run's any more."""
POLL_SECONDS = 1.0
SAID_LENGTH_MAX = 200

_NAMESPACES = Resource("namespaces", "/api/v1/namespaces")
_LISTEN = f"while :; do nc -l -p {PORT} </dev/null >/dev/null 2>&1 || nc -l {PORT} </dev/null; done"
_TRY = """\
# The smallest of them have no -z, and end with the connection.
case "$(nc -z -w 1 127.0.0.1 9 </dev/null 2>&1)" in *option*) Z=;; *) Z=-z;; esac
reach() {
  if command -v nc >/dev/null 2>&1; then nc $Z -w 3 "$1" "$2" </dev/null >/dev/null 2>&1
  else wget -T 3 -O /dev/null "http://$1:$2/" 2>&1 | grep -q -i -e "connected" -e "returned" -e "100%"; fi
}
# What listens stands between two callers for a moment, and a busy node drops a packet: only four failures in a row say
# that it cannot be reached.
try() {
  for pause in 1 2 3 0; do
    if reach "$2" "$3"; then echo "$1=yes"; return; fi
    sleep $pause
  done
  echo "$1=no"
}
n=0
until reach "$MATE" "$PORT" || [ $n -ge 20 ]; do n=$((n+1)); sleep 1; done
# An engine may take some seconds to learn of a new pod.
sleep 8
{
  try mate "$MATE" "$PORT"
  try neighbour "$NEIGHBOUR" "$PORT"
  try api "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT"
  try node "$NODE" "$NODE_PORT"
} >/dev/termination-log
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a pod in a preview's namespace could connect to."""

    mate: bool
    """Another pod of its own namespace: if not even that, the rest says nothing."""
    neighbour: bool
    """A pod in another preview's namespace."""
    api: bool
    """The API server, at its address inside of the cluster."""
    node: bool
    """The kubelet of its own node."""


class IsolationProbe:
    """One trial. It needs more rights than the manager has: namespaces, pods and policies are made."""

    def __init__(
        self,
        *,
        kubeconfig: Path | None,
        instance: str,
        image: str,
        policies: Sequence[Mapping[str, object]],
    ) -> None:
        """`policies` are the NetworkPolicies of a preview's namespace; their own namespace does not count."""
        self._api = AccessReview(kubeconfig=kubeconfig)
        self._instance = instance
        self._image = image
        self._policies = policies
        self._wait = Event()

    def left_behind(self) -> list[str]:
        """Namespaces that earlier runs made and could not delete."""
        return list(self._left_behind())

    def clean(self) -> None:
        """Delete what earlier runs left behind."""
        for name in self._left_behind():
            self._delete(name)

    def run(self) -> Reached:
        """Make everything, wait for what the pods say, and delete all of it. Raises PreviewsError."""
        self.clean()
        with self._namespace("a") as own, self._namespace("b") as other:
            mate, neighbour = self._pod(own, "mate", _LISTEN), self._pod(other, "mate", _LISTEN)
            mate_ip, neighbour_ip = self._address(mate), self._address(neighbour)
            target = {
                "MATE": mate_ip,
                "NEIGHBOUR": neighbour_ip,
                "PORT": str(PORT),
                "NODE_PORT": str(KUBELET_PORT),
            }
            return _reading(self._last_words(self._pod(own, "probe", _TRY, target)))

    @contextmanager
    def _namespace(self, suffix: str) -> Iterator[str]:
        """With our policy, for as long as the block runs."""
        name = f"preview-doctor-{token_hex(3)}-{suffix}"
        marks = {
            labels.INSTANCE: self._instance,
            DOCTOR: "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        metadata = {"name": name, "labels": marks}
        try:
            # Inside: an answer that was lost may have been a yes.
            self._api.create(
                _NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            )
            for policy in self._policies:
                self._create_policy(name, policy)
            yield name
        finally:
            self._delete(name)

    def _create_policy(self, namespace: str, policy: Mapping[str, object]) -> None:
        metadata = policy["metadata"]
        name = metadata["name"] if isinstance(metadata, dict) else "preview"
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        self._api.create(
            Resource("networkpolicies.networking.k8s.io", path),
            {**policy, "metadata": {"name": name, "namespace": namespace}},
        )

    def _pod(
        self, namespace: str, name: str, script: str, environment: Mapping[str, str] | None = None
    ) -> tuple[Resource, str]:
        node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
        variables = [{"name": key, "value": value} for key, value in (environment or {}).items()]
        container = {
            "name": "probe",
            "image": self._image,
            "command": ["sh", "-c", script],
            "env": [node, *variables],
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "100m", "memory": "32Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": int(LEFT_BEHIND_SECONDS),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        pods = Resource(
            "pods", f"{_NAMESPACES.path}/{namespace}/pods", f" in namespace {namespace}"
        )
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self._api.create(pods, made)
        return pods, name

    def _address(self, pod: tuple[Resource, str]) -> str:
        """Once it runs."""
        until = time.monotonic() + START_SECONDS
        while True:
            status = self._status(*pod)
            address = status.get("podIP")
            if status.get("phase") == "Running" and isinstance(address, str) and address:
                return address
            self._go_on_waiting(until, status, "does not run")

    def _last_words(self, pod: tuple[Resource, str]) -> str:
        """What its container left when it ended."""
        until = time.monotonic() + TRY_SECONDS
        while True:
            status = self._status(*pod)
            if status.get("phase") in {"Succeeded", "Failed"}:
                ended = _state(status).get("terminated")
                return str(ended.get("message", "")) if isinstance(ended, dict) else ""
            self._go_on_waiting(until, status, "does not end")

    def _status(self, pods: Resource, name: str) -> Raw:
        raw = self._api.fetch(pods, name) or {}
        found = raw.get("status")
        return found if isinstance(found, dict) else {}

    def _go_on_waiting(self, until: float, status: Raw, how: str) -> None:
        waiting = _state(status).get("waiting")
        why = str(waiting.get("reason", "")) if isinstance(waiting, dict) else ""
        if time.monotonic() > until or why in {
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
        }:
            said = one_line(why or str(status.get("phase", "no phase")), SAID_LENGTH_MAX)
            raise TransientError("ClusterAnswer", f"a pod of {self._image} {how}: {said}")
        self._wait.wait(POLL_SECONDS)

    def _left_behind(self) -> Iterator[str]:
        selector = f"{labels.INSTANCE}={self._instance},{DOCTOR}=true"
        for page, _ in self._api.list_pages(_NAMESPACES, selector, metadata_only=True):
            for raw in page:
                metadata = raw["metadata"]
                if "deletionTimestamp" not in metadata and _age(metadata) > LEFT_BEHIND_SECONDS:
                    yield metadata["name"]

    def _delete(self, name: str) -> None:
        """If it is still ours. Kubernetes itself changes a new namespace more than once."""
        for attempt in range(ATTEMPTS_AT_CONFLICTS):
            raw = self._api.fetch(_NAMESPACES, name)
            if raw is None or DOCTOR not in (raw["metadata"].get("labels") or {}):
                return
            uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
            try:
                self._api.delete(_NAMESPACES, name, uid=uid, version=version)
            except ConflictError:
                if attempt == ATTEMPTS_AT_CONFLICTS - 1:
                    raise
            else:
                return


def _age(metadata: Raw) -> float:
    made_at = datetime.fromisoformat(str(metadata["creationTimestamp"]))
    return (datetime.now(UTC) - made_at).total_seconds()


def _state(status: Raw) -> Raw:
    containers = status.get("containerStatuses")
    state = containers[0].get("state") if isinstance(containers, list) and containers else None
    return state if isinstance(state, dict) else {}


def _reading(words: str) -> Reached:
    said = dict(line.split("=", 1) for line in words.splitlines() if "=" in line)
    if not {"mate", "neighbour", "api", "node"} <= said.keys():
        raise TransientError(
            "ClusterAnswer",
            f"the probe's pod said no result: {one_line(words, SAID_LENGTH_MAX) or 'nothing'}",
        )
    return Reached(
        mate=said["mate"] == "yes",
        neighbour=said["neighbour"] == "yes",
        api=said["api"] == "yes",
        node=said["node"] == "yes",
    )

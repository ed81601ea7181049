"""Pods and events as an API server of Kubernetes 1.34 lists them, as far as anybody looks at them."""

from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

T0 = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
IMAGE = "registry.example/shop:pr-42-abc1234"


def at(seconds: float) -> str:
    """A moment as Kubernetes writes it, counted from T0."""
    return (T0 + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(seconds: float = 1) -> Object:
    return {"running": {"startedAt": at(seconds)}}


def terminated(code: int, reason: str = "Error", message: str = "", seconds: float = 2) -> Object:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            **({"message": message} if message else {}),
            "startedAt": at(seconds - 1),
            "finishedAt": at(seconds),
            "containerID": "containerd://0f",
        }
    }


def container(
    state: Object,
    *,
    name: str = "app",
    before: Object | None = None,
    restarts: int = 0,
    ready: bool = False,
    image: str = IMAGE,
) -> Object:
    """What a pod's status says of one container."""
    return {
        "name": name,
        "image": image,
        "imageID": "",
        "state": state,
        "lastState": before or {},
        "restartCount": restarts,
        "ready": ready,
        "started": ready,
    }


def pod(
    *containers: Object,
    name: str = "app-6d4b75cb6d-x7x2p",
    owner: str = "app-6d4b75cb6d",
    kind: str = "ReplicaSet",
    created: float = 0,
    phase: str = "Pending",
    node: str = "node-1",
    init: tuple[Object, ...] = (),
    unschedulable: str = "",
    deleting: bool = False,
    **status: object,
) -> Object:
    is_ready = bool(containers) and all(each["ready"] for each in containers)
    scheduled: Object = {"type": "PodScheduled", "status": "True"}
    if unschedulable:
        scheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": unschedulable,
        }
    metadata: Object = {
        "name": name,
        "creationTimestamp": at(created),
        "ownerReferences": [{"kind": kind, "name": owner, "controller": True}] if owner else [],
        **({"deletionTimestamp": at(created + 60)} if deleting else {}),
    }
    return {
        "metadata": metadata,
        "spec": {
            **({"nodeName": node} if node and not unschedulable else {}),
            "initContainers": [{"name": each["name"], "image": each["image"]} for each in init],
            "containers": [{"name": each["name"], "image": each["image"]} for each in containers],
        },
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if is_ready else "False"}, scheduled],
            "initContainerStatuses": list(init),
            "containerStatuses": list(containers),
            **status,
        },
    }


def event(
    reason: str,
    message: str,
    *,
    kind: str = "Pod",
    name: str = "app-6d4b75cb6d-x7x2p",
    count: int = 1,
    seconds: float = 3,
) -> Object:
    return {
        "metadata": {"name": f"{name}.17", "creationTimestamp": at(seconds)},
        "type": "Warning",
        "involvedObject": {"kind": kind, "name": name},
        "reason": reason,
        "message": message,
        "count": count,
        "firstTimestamp": at(seconds),
        "lastTimestamp": at(seconds),
        "eventTime": None,
    }


NOT_FOUND = (
    f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack '
    f'image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
)
"""As Kubernetes says it since 1.31, with containerd below it."""
QUOTA = (
    'Error creating: pods "app-6d4b75cb6d-x7x2p" is forbidden: exceeded quota: preview, requested: '
    "limits.memory=4Gi, used: limits.memory=0, limited: limits.memory=2Gi"
)


def with_no_image() -> Object:
    return pod(container(waiting("ImagePullBackOff", NOT_FOUND)))


def in_a_crash_loop(code: int = 3) -> Object:
    return pod(
        container(
            waiting("CrashLoopBackOff", "back-off 20s restarting failed container=app"),
            before=terminated(code),
            restarts=2,
        ),
        phase="Running",
    )

"""Removes everything of one instance, whatever state it is in: after a failed test, or before the next run.

Not how the manager removes a preview: here nothing is waited for but the end, and the administrator may do anything.
"""

from collections.abc import Iterator
from typing import Any

from previews.domain.labels import SHARD
from previews.domain.naming import top_root_name
from tests.world.kubernetes import Kubernetes
from tests.world.waiting import wait_until

Object = dict[str, Any]
NAMESPACES = "/api/v1/namespaces"


def remove_instance(kubernetes: Kubernetes, instance: str) -> None:
    """Applications, AppProjects and namespaces that carry the instance's label."""
    wait_until(
        f"no Application of {instance} is left",
        lambda: not any(list(_remove_applications(kubernetes, instance))),
    )
    wait_until(
        f"no namespace of {instance} is left",
        lambda: not any(list(_remove_namespaces(kubernetes, instance))),
    )
    for project in kubernetes.list(kubernetes.app_project_path(), instance=instance):
        path = kubernetes.app_project_path(_name(project))
        kubernetes.patch(path, {"metadata": {"finalizers": None}})
        kubernetes.delete(path)


def remove_namespace(kubernetes: Kubernetes, name: str) -> None:
    kubernetes.delete(f"{NAMESPACES}/{name}")
    wait_until(f"namespace {name} is gone", lambda: kubernetes.namespace(name) is None)


def _remove_applications(kubernetes: Kubernetes, instance: str) -> Iterator[bool]:
    """Roots first, or they would bring their children back. What they deployed stays for the moment."""
    found = kubernetes.list(kubernetes.application_path(), instance=instance)
    top = kubernetes.application(top_root_name(instance))
    shards = [each for each in found if SHARD in each["metadata"].get("labels", {})]
    for application in [*([top] if top else []), *shards, *found]:
        path = kubernetes.application_path(_name(application))
        kubernetes.patch(path, {"metadata": {"finalizers": None}, "operation": None})
        kubernetes.delete(path)
        yield True


def _remove_namespaces(kubernetes: Kubernetes, instance: str) -> Iterator[bool]:
    for namespace in kubernetes.list(NAMESPACES, instance=instance):
        path = f"{NAMESPACES}/{_name(namespace)}"
        if "deletionTimestamp" not in namespace["metadata"]:
            kubernetes.delete(path)
        for held in kubernetes.list(f"{path}/configmaps"):
            if held["metadata"].get("finalizers"):
                # A test put it there, to see a removal that is stuck.
                kubernetes.patch(
                    f"{path}/configmaps/{_name(held)}", {"metadata": {"finalizers": None}}
                )
        yield True


def _name(found: Object) -> str:
    name: str = found["metadata"]["name"]
    return name

"""When Argo CD created, changed and synced each Application, as the bench's own watch saw it."""

import threading
from dataclasses import dataclass
from typing import Any

from previews.domain.labels import HEAD_SHA, INSTANCE, PREVIEW
from tests.bench.watch import Watch
from tests.cluster import RunningCluster

Object = dict[str, Any]


@dataclass(slots=True)
class Moments:
    """Of one Application at one commit."""

    seen_at: float
    synced_at: float | None = None


class Applications:
    """Every Application of one instance, by name and head_sha."""

    def __init__(self, cluster: RunningCluster, instance: str) -> None:
        self._lock = threading.Lock()
        self._moments: dict[tuple[str, str], Moments] = {}
        self._watch = Watch(
            cluster,
            f"/apis/argoproj.io/v1alpha1/namespaces/{cluster.argocd_namespace}/applications",
            f"{INSTANCE}={instance},{PREVIEW}=true",
            self._note,
        )

    def start(self) -> None:
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop()

    def seen_at(self, name: str, head_sha: str) -> float | None:
        """When the Application was first there with this commit."""
        with self._lock:
            moments = self._moments.get((name, head_sha))
        return moments.seen_at if moments else None

    def synced_at(self, name: str, head_sha: str) -> float | None:
        """When Argo CD had done all that this commit's Application asks for."""
        with self._lock:
            moments = self._moments.get((name, head_sha))
        return moments.synced_at if moments else None

    def _note(self, at: float, kind: str, application: Object) -> None:
        metadata = application["metadata"]
        head_sha = metadata.get("annotations", {}).get(HEAD_SHA, "")
        if kind == "DELETED" or not head_sha:
            return
        with self._lock:
            moments = self._moments.setdefault((metadata["name"], head_sha), Moments(at))
            if moments.synced_at is None and _is_synced(application):
                moments.synced_at = at


def _is_synced(application: Object) -> bool:
    """For about a second after a change everything still says Synced, of the sources before it."""
    status = application.get("status", {})
    sync, operation = status.get("sync", {}), status.get("operationState", {})
    return (
        sync.get("status") == "Synced"
        and operation.get("phase") == "Succeeded"
        and _sources(sync.get("comparedTo")) == _sources(application["spec"])
        and _sources(operation.get("syncResult")) == _sources(application["spec"])
    )


def _sources(of: Object | None) -> tuple[Any, Any] | None:
    return (of.get("source"), of.get("sources")) if of else None

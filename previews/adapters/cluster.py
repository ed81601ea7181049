"""Kubernetes and Argo CD. The manager reads them, makes two requests of Argo CD, and deletes what was left behind.

What is kept of an object is only what decides (cluster_status); how it is kept up to date is in kubernetes_watch.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread

from previews.adapters.cluster_status import application_of, namespace_of, owned_object_of
from previews.adapters.job_log import BYTES_MAX, newest_failed, shown
from previews.adapters.kubernetes_answers import ConflictError
from previews.adapters.kubernetes_api import PAGE_SIZE, ClusterTimes, KubernetesAPI, Resource
from previews.adapters.kubernetes_watch import Difference, ObjectWatch
from previews.adapters.workload_status import LINES, NOTICES_MAX, PODS_MAX, notices_of, pods_of
from previews.domain import labels
from previews.domain.inventory import Kind, OwnedObject
from previews.domain.preview import Application, Namespace, PreviewKey
from previews.domain.workload import Workload, crashed
from previews.errors import PreviewsError, TransientError

ATTEMPTS_AT_CONFLICTS = 5
"""Argo CD's controller writes the same object all the time while it syncs."""
STOP_SECONDS = 2.0
"""A thread that hangs in a connect is left behind: it is a daemon, and ends with the process."""

_ARGOCD = "/apis/argoproj.io/v1alpha1"
_NAMESPACES = Resource("namespaces", "/api/v1/namespaces")


class KubernetesCluster:
    """`domain.ports.Cluster` on the real thing. Safe from any thread; `watch` is called once."""

    def __init__(
        self,
        *,
        kubeconfig: Path | None,
        argocd_namespace: str,
        instance: str,
        times: ClusterTimes | None = None,
    ) -> None:
        """Read the credential: from `kubeconfig`, or the pod's own. Raises ConfigurationError."""
        times = times or ClusterTimes()
        self._instance = instance
        self._api = KubernetesAPI(kubeconfig=kubeconfig, times=times)
        place = f" in namespace {argocd_namespace}"
        within = f"{_ARGOCD}/namespaces/{argocd_namespace}"
        self._applications = Resource("applications.argoproj.io", f"{within}/applications", place)
        self._app_projects = Resource("appprojects.argoproj.io", f"{within}/appprojects", place)
        self._collected = {
            # Applications last: what is found to be without one is still so when the rest has been listed.
            Kind.NAMESPACE: _NAMESPACES,
            Kind.APP_PROJECT: self._app_projects,
            Kind.CONFIG_MAP: Resource(
                "configmaps", f"/api/v1/namespaces/{argocd_namespace}/configmaps", place
            ),
            Kind.APPLICATION: self._applications,
        }
        self._lock = Lock()
        self._changed: set[PreviewKey] = set()
        self._on_change: Callable[[PreviewKey], None] = lambda _: None
        self._selector = selector = f"{labels.INSTANCE}={instance}"
        self._application_watch = ObjectWatch[Application](
            api=self._api,
            resource=self._applications,
            selector=selector,
            reduce=partial(application_of, instance=instance),
            on_differences=self._report,
            times=times,
        )
        self._namespace_watch = ObjectWatch[Namespace](
            api=self._api,
            resource=_NAMESPACES,
            selector=selector,
            reduce=partial(namespace_of, instance=instance),
            on_differences=self._report,
            times=times,
        )

    def watch(self, on_change: Callable[[PreviewKey], None], stop: Event) -> None:
        """Follow until `stop` is set. `on_change` is called from two threads, and must return soon."""
        self._on_change = on_change
        applications, namespaces = self._application_watch, self._namespace_watch
        threads = [
            Thread(target=applications.run, args=(stop,), name="watch-applications", daemon=True),
            Thread(target=namespaces.run, args=(stop,), name="watch-namespaces", daemon=True),
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        applications.interrupt()
        namespaces.interrupt()
        for thread in threads:
            thread.join(STOP_SECONDS)

    def application(self, name: str) -> Application | None:
        """Previews and shard roots of this instance, as last heard of."""
        self._expect_listed()
        return self._application_watch.get(name)

    def namespace(self, name: str) -> Namespace | None:
        """Those of this instance, as last heard of."""
        self._expect_listed()
        return self._namespace_watch.get(name)

    def owned_keys(self) -> set[PreviewKey]:
        self._expect_listed()
        found = [application.owner for application in self._application_watch.all()]
        found += [namespace.owner for namespace in self._namespace_watch.all()]
        return {owner for owner in found if owner is not None}

    def fetch_application(self, name: str) -> Application | None:
        raw = self._api.fetch(self._applications, name)
        return None if raw is None else application_of(raw, self._instance)

    def fetch_namespace(self, name: str) -> Namespace | None:
        raw = self._api.fetch(_NAMESPACES, name)
        return None if raw is None else namespace_of(raw, self._instance)

    def app_project_exists(self, name: str) -> bool:
        return self._api.fetch(self._app_projects, name) is not None

    def refresh_application(self, name: str) -> bool:
        # A new value each time: Argo CD can overlook one, and the same value again would be no event to it. Whatever is
        # not `hard` is an ordinary refresh.
        value = f"normal-{time.time_ns()}"
        return self._api.patch(
            self._applications, name, {"metadata": {"annotations": {labels.REFRESH: value}}}
        )

    def end_operation(self, application: Application) -> None:
        """Mark the operation as Terminating, as `argocd app terminate-op` does.

        Only on the very object that was meant, while it is ours and being deleted; anything else is left as it is.
        """
        for attempt in range(ATTEMPTS_AT_CONFLICTS):
            raw = self._api.fetch(self._applications, application.name)
            if raw is None:
                return
            now = application_of(raw, self._instance)
            is_meant = now.uid == application.uid and now.owner is not None and now.deleting
            state = (raw.get("status") or {}).get("operationState")
            under_way = raw.get("operation") and state and state.get("phase") != "Terminating"
            if not is_meant or not under_way:
                return
            change = {
                "metadata": {
                    "uid": now.uid,
                    "resourceVersion": raw["metadata"]["resourceVersion"],
                },
                "status": {"operationState": {"phase": "Terminating"}},
            }
            try:
                self._api.patch(self._applications, application.name, change)
            except ConflictError:
                if attempt == ATTEMPTS_AT_CONFLICTS - 1:
                    raise
            else:
                return

    def owned_objects(self) -> list[OwnedObject]:
        return [
            owned
            for kind, resource in self._collected.items()
            for items, _ in self._api.list_pages(resource, self._selector, metadata_only=True)
            for raw in items
            if (owned := owned_object_of(raw, kind, self._instance)) is not None
        ]

    def delete_object(self, found: OwnedObject) -> bool:
        """Whatever changes between the look at it and the deletion, makes Kubernetes refuse it: look again then."""
        resource = self._collected[found.kind]
        for attempt in range(ATTEMPTS_AT_CONFLICTS):
            raw = self._api.fetch(resource, found.name)
            now = None if raw is None else owned_object_of(raw, found.kind, self._instance)
            if raw is None or now is None or now.deleting or not found.uid:
                return False
            if (now.uid, now.owner, now.shard) != (found.uid, found.owner, found.shard):
                return False
            version = str(raw["metadata"].get("resourceVersion", ""))
            try:
                return self._api.delete(resource, found.name, uid=now.uid, version=version)
            except ConflictError:
                if attempt == ATTEMPTS_AT_CONFLICTS - 1:
                    raise
        return False

    def job_log(self, namespace: str, lines: int) -> str:
        pods = _within(namespace, "pods")
        listed = self._api.list_pages(pods, f"{labels.COMPONENT}={labels.MIGRATION}")
        found = newest_failed(pod for page, _ in listed for pod in page)
        if found is None:
            return ""
        return self._log(pods, *found, lines=lines)

    def workload(self, namespace: str) -> Workload:
        pods, events = _within(namespace, "pods"), _within(namespace, "events")
        found = pods_of(self._some(pods, PODS_MAX))
        notices = notices_of(self._some(events, NOTICES_MAX, fields="type=Warning"))
        crash, said = crashed(found), ""
        if crash is not None:
            # A log that is rotated away, or not there yet, hides nothing else.
            with suppress(PreviewsError):
                said = self._log(
                    pods,
                    crash.pod.name,
                    crash.container.name,
                    lines=LINES,
                    of_previous_run=crash.was_restarted,
                )
        return Workload(pods=found, notices=notices, last_words=said)

    def _some(self, resource: Resource, length_max: int, *, fields: str = "") -> list[object]:
        """No more than a preview has; a namespace with more is not read to its end."""
        pages = self._api.list_pages(resource, "", fields=fields)
        return [item for page, _ in islice(pages, length_max // PAGE_SIZE) for item in page]

    def _log(
        self,
        pods: Resource,
        name: str,
        container: str,
        *,
        lines: int,
        of_previous_run: bool = False,
    ) -> str:
        query = {
            "container": container,
            # Empty lines are left out, so a few more are read than are shown.
            "tailLines": str(2 * lines),
            "limitBytes": str(BYTES_MAX),
            **({"previous": "true"} if of_previous_run else {}),
        }
        return shown(self._api.fetch_log(pods, name, query) or "", lines)

    def check(self) -> None:
        """Make one cheap authenticated request, for readiness."""
        self._api.check(self._applications)

    def problem(self) -> str | None:
        """Why what is kept may be out of date; None while both watches are open."""
        return self._application_watch.problem or self._namespace_watch.problem

    def _expect_listed(self) -> None:
        if not self._is_listed:
            raise TransientError(
                "ClusterUnreachable", self.problem() or "the cluster has not been listed yet"
            )

    @property
    def _is_listed(self) -> bool:
        return self._application_watch.listed and self._namespace_watch.listed

    def _report(
        self, differences: list[Difference[Application]] | list[Difference[Namespace]]
    ) -> None:
        """Call back for the previews behind these, but not before everything has been listed once.

        Until then whoever is woken would only be told to wait.
        """
        with self._lock:
            for difference in differences:
                for found in (difference.before, difference.after):
                    if found is not None and found.owner is not None:
                        self._changed.add(found.owner)
            if not self._is_listed:
                return
            changed, self._changed = self._changed, set()
        for key in sorted(changed):
            self._on_change(key)


def _within(namespace: str, plural: str) -> Resource:
    return Resource(
        plural, f"{_NAMESPACES.path}/{namespace}/{plural}", f" in namespace {namespace}"
    )

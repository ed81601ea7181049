"""Kubernetes in memory, as far as the manager sees it. tests/fakes/argocd.py plays Argo CD on it."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from previews.domain.inventory import Kind, OwnedObject, shard_of_keep
from previews.domain.naming import top_root_name
from previews.domain.preview import Application, Namespace, PreviewKey
from previews.domain.workload import Workload
from previews.errors import TransientError

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeCluster:
    """The port's methods first; below them what a test, or Argo CD, does to it. Safe from any thread."""

    def __init__(self, *, instance: str = "acme", is_listed: bool = True) -> None:
        """It begins with the root of all roots, as installed. `is_listed=False`: before the first listing."""
        self.instance = instance
        self.is_unreachable = False
        """What is watched stays readable, as with the real one."""
        self.ends_operations = True
        """Whether Argo CD goes on with a deletion as soon as the operation is ended."""
        self.on_refresh: Callable[[str], None] = lambda _name: None
        """How Argo CD answers to a refresh."""
        self.applications: dict[str, Application] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.app_projects: set[str] = set()
        self.config_maps: set[str] = set()
        """In Argo CD's namespace."""
        self.created: Counter[str] = Counter()
        """How often each object came to be, as `Namespace preview-shop-pr-1`."""
        self.deleted: Counter[str] = Counter()
        self.refreshed: list[str] = []
        self.ended_operations: list[str] = []
        self.logs: dict[str, str] = {}
        """What the migrations that failed last wrote, by namespace."""
        self.workloads: dict[str, Workload] = {}
        """What there is to say of the pods of a namespace, by its name."""
        self.workloads_read: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._is_listed = is_listed
        self._uids = itertools.count(1)
        self._instances: dict[str, str] = {}
        self._marks: dict[tuple[Kind, str], OwnedObject] = {}
        """Of AppProjects and ConfigMaps, and which roots are of which shard."""
        self._held: dict[str, tuple[str, ...]] = {}
        self._seen_before: tuple[dict[str, Application], dict[str, Namespace]] | None = None
        self._untold: set[PreviewKey] = set()
        self.listeners: list[Callable[[PreviewKey], None]] = []
        self.put_application(top_root_name(instance))

    def watch(self, on_change: Callable[[PreviewKey], None], stop: threading.Event) -> None:
        with self._lock:
            self._is_listed = True
            self.listeners.append(on_change)
            known = self.owned_keys()
        for key in sorted(known):
            on_change(key)
        stop.wait()
        with self._lock:
            self.listeners.remove(on_change)

    def application(self, name: str) -> Application | None:
        self._expect_listed()
        return self._watched()[0].get(name) if self._is_watched(name) else None

    def namespace(self, name: str) -> Namespace | None:
        self._expect_listed()
        return self._watched()[1].get(name) if self._is_watched(name) else None

    def owned_keys(self) -> set[PreviewKey]:
        self._expect_listed()
        with self._lock:
            applications, namespaces = self._watched()
            owners = [found.owner for found in applications.values()]
            owners += [found.owner for found in namespaces.values()]
        return {owner for owner in owners if owner is not None}

    def problem(self) -> str | None:
        return None if self._is_listed else "the cluster has not been listed yet"

    def fetch_application(self, name: str) -> Application | None:
        self._expect_reachable()
        return self.applications.get(name)

    def fetch_namespace(self, name: str) -> Namespace | None:
        self._expect_reachable()
        return self.namespaces.get(name)

    def app_project_exists(self, name: str) -> bool:
        self._expect_reachable()
        return name in self.app_projects

    def refresh_application(self, name: str) -> bool:
        self._expect_reachable()
        if name not in self.applications:
            return False
        self.refreshed.append(name)
        self.on_refresh(name)
        return True

    def end_operation(self, application: Application) -> None:
        self._expect_reachable()
        found = self.applications.get(application.name)
        if found is None or found.uid != application.uid or found.owner is None:
            return
        if not found.deleting or found.operation_phase != "Running":
            return
        self.ended_operations.append(found.name)
        self.put_application(found.name, operation_phase="Terminating")
        if self.ends_operations:
            self.put_application(found.name, operation_phase="Failed")
            self.delete_application(found.name)

    def owned_objects(self) -> list[OwnedObject]:
        self._expect_reachable()
        with self._lock:
            found = [
                *(self._owned(Kind.NAMESPACE, each) for each in self.namespaces.values()),
                *(self._marks[Kind.APP_PROJECT, name] for name in sorted(self.app_projects)),
                *(self._marks[Kind.CONFIG_MAP, name] for name in sorted(self.config_maps)),
                *(self._owned(Kind.APPLICATION, each) for each in self.applications.values()),
            ]
        # The root of all roots is the chart's, and carries no label of ours.
        top = top_root_name(self.instance)
        return [each for each in found if self._is_watched(each.name) and each.name != top]

    def delete_object(self, found: OwnedObject) -> bool:
        now = [each for each in self.owned_objects() if each.identity == found.identity]
        if not now or now[0].deleting or (now[0].owner, now[0].shard) != (found.owner, found.shard):
            return False
        match found.kind:
            case Kind.APPLICATION:
                self.delete_application(found.name)
            case Kind.NAMESPACE:
                self.delete_namespace(found.name)
            case Kind.APP_PROJECT:
                self.delete_app_project(found.name)
            case Kind.CONFIG_MAP:
                self.config_maps.discard(found.name)
        return True

    def job_log(self, namespace: str, lines: int) -> str:
        self._expect_reachable()
        return "\n".join(self.logs.get(namespace, "").splitlines()[-lines:])

    def workload(self, namespace: str) -> Workload:
        self._expect_reachable()
        self.workloads_read[namespace] += 1
        return self.workloads.get(namespace, Workload())

    def _owned(self, kind: Kind, found: Application | Namespace) -> OwnedObject:
        mark = self._marks.get((kind, found.name))
        return OwnedObject(
            kind=kind,
            name=found.name,
            uid=found.uid,
            owner=found.owner,
            shard=mark.shard if mark else "",
            created_at=CREATED_AT,
            deleting=found.deleting,
        )

    def _mark(
        self,
        kind: Kind,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str | None = None,
        shard: str = "",
    ) -> None:
        uid = f"uid-{next(self._uids)}"
        self._marks[kind, name] = OwnedObject(
            kind=kind,
            name=name,
            uid=uid,
            owner=self._owner(name, owner, instance),
            shard=shard,
            created_at=CREATED_AT,
        )

    def put_application(
        self,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str | None = None,
        **fields: Any,  # noqa: ANN401 those of Application
    ) -> Application:
        """Create it, or change what is given. One of another instance has no owner that counts for us."""
        with self._lock:
            before = self.applications.get(name)
            self.created[f"Application {name}"] += before is None
            after = replace(before or self._new_application(name), **fields)
            after = replace(after, owner=self._owner(name, owner or after.owner, instance))
            self.applications[name] = after
        self._tell(before, after)
        return after

    def put_namespace(
        self,
        name: str,
        owner: PreviewKey | None = None,
        *,
        instance: str | None = None,
        **fields: Any,  # noqa: ANN401 those of Namespace
    ) -> Namespace:
        """Create it, or change what is given."""
        with self._lock:
            before = self.namespaces.get(name)
            self.created[f"Namespace {name}"] += before is None
            after = replace(before or self._new_namespace(name), **fields)
            after = replace(after, owner=self._owner(name, owner or after.owner, instance))
            self.namespaces[name] = after
        self._tell(before, after)
        return after

    def put_root(self, name: str, shard: str) -> None:
        """The root of a shard."""
        self._mark(Kind.APPLICATION, name, shard=shard)
        self.put_application(name, sync="Synced", health="Healthy")

    def put_app_project(
        self, name: str, owner: PreviewKey | None = None, *, instance: str | None = None
    ) -> None:
        """Create it; nothing happens if it is there."""
        if name in self.app_projects:
            return
        self.created[f"AppProject {name}"] += 1
        self.app_projects.add(name)
        self._mark(Kind.APP_PROJECT, name, owner, instance=instance)

    def put_config_map(self, name: str, *, instance: str | None = None) -> None:
        """Create it in Argo CD's namespace; nothing happens if it is there."""
        if name not in self.config_maps:
            self.config_maps.add(name)
            shard = shard_of_keep(self.instance, name)
            self._mark(Kind.CONFIG_MAP, name, instance=instance, shard=shard)

    def delete_application(self, name: str) -> None:
        """As Argo CD deletes: not while an operation runs, nor while something holds it."""
        found = self.put_application(name, deleting=True)
        if found.operation_phase in {"Running", "Terminating"} or name in self._held:
            return
        with self._lock:
            del self.applications[name]
            self.deleted[f"Application {name}"] += 1
        self._tell(found, None)

    def delete_namespace(self, name: str) -> None:
        """As Kubernetes deletes: what holds it is told in its conditions."""
        found = self.put_namespace(name, deleting=True, problems=self._held.get(name, ()))
        if name in self._held:
            return
        with self._lock:
            del self.namespaces[name]
            self.deleted[f"Namespace {name}"] += 1
        self._tell(found, None)

    def delete_app_project(self, name: str) -> None:
        self.deleted[f"AppProject {name}"] += name in self.app_projects
        self.app_projects.discard(name)

    def hold(self, name: str, *problems: str) -> None:
        """Whoever deletes this Application or Namespace gets no further than asking, until `let_go`."""
        self._held[name] = problems

    def let_go(self, name: str) -> None:
        """What held it is gone, and it goes as well if it was being deleted."""
        del self._held[name]
        application, namespace = self.applications.get(name), self.namespaces.get(name)
        if application is not None and application.deleting:
            self.delete_application(name)
        if namespace is not None and namespace.deleting:
            self.delete_namespace(name)

    def lag(self) -> None:
        """From now on the watch knows what there is at this moment, and tells nothing, until `catch_up`."""
        if self._seen_before is None:
            self._seen_before = dict(self.applications), dict(self.namespaces)

    def catch_up(self) -> None:
        """The watch knows again what there is, and tells of all that changed meanwhile."""
        self._seen_before = None
        untold, self._untold = self._untold, set()
        self._tell_of(untold)

    def _watched(self) -> tuple[dict[str, Application], dict[str, Namespace]]:
        return self._seen_before or (self.applications, self.namespaces)

    def _new_application(self, name: str) -> Application:
        return Application(
            name=name,
            uid=f"uid-{next(self._uids)}",
            owner=None,
            digest="",
            deleting=False,
            proven_for_spec=False,
            sync="Unknown",
            health="Unknown",
            operation_phase="",
            operation_message="",
            images=frozenset(),
            revisions=frozenset(),
            problems=(),
        )

    def _new_namespace(self, name: str) -> Namespace:
        uid = f"uid-{next(self._uids)}"
        return Namespace(name=name, uid=uid, owner=None, deleting=False, problems=())

    def _owner(
        self, name: str, owner: PreviewKey | None, instance: str | None
    ) -> PreviewKey | None:
        if instance is not None:
            self._instances[name] = instance
        return owner if self._is_watched(name) else None

    def _is_watched(self, name: str) -> bool:
        return self._instances.get(name, self.instance) == self.instance

    def _tell(
        self, before: Application | Namespace | None, after: Application | Namespace | None
    ) -> None:
        if before == after:
            return
        owners = [found.owner for found in (before, after) if found is not None]
        keys = {owner for owner in owners if owner is not None}
        if self._seen_before is not None:
            self._untold |= keys
        else:
            self._tell_of(keys)

    def _tell_of(self, keys: set[PreviewKey]) -> None:
        for listener in tuple(self.listeners):
            for key in sorted(keys):
                listener(key)

    def _expect_listed(self) -> None:
        if not self._is_listed:
            raise TransientError("ClusterUnreachable", "the cluster has not been listed yet")

    def _expect_reachable(self) -> None:
        if self.is_unreachable:
            raise TransientError(
                "ClusterUnreachable", "the Kubernetes API does not answer: connection refused"
            )

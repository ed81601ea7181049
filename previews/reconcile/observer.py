"""Looks at what there is of one preview, in Git and in the cluster."""

from previews.domain.diagnosis import Cause
from previews.domain.naming import Names
from previews.domain.observation import (
    APPLICATION_FILE,
    DATABASE_FILE,
    NAMESPACE_FILE,
    SECRETS_FILE,
    Observation,
)
from previews.domain.ports import Clock, Cluster
from previews.domain.preview import (
    Application,
    Manifests,
    Namespace,
    PreviewKey,
    Stage,
)
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.branch import GitBranch
from previews.reconcile.diagnoses import Diagnoses

MIGRATION_LINES = 5
"""Of the log of a migration that failed: the last ones say why."""


class Observer:
    """Safe from any thread."""

    def __init__(self, *, cluster: Cluster, branch: GitBranch, clock: Clock) -> None:
        self._cluster = cluster
        self._branch = branch
        self._clock = clock
        self._diagnoses = Diagnoses(cluster, clock)

    def traces(self, names: Names, record: PreviewRecord, *, goes: bool) -> Observation:
        """What there is of a preview in Git and in the cluster."""
        key, manifests = record.key, record.manifests
        files_in_git = self._branch.names_in_git(key)
        # The watch knows only what is ours: an absence, or that nobody else's object is in the way, is read now.
        application, namespace = self._read_cluster(names, now=goes or manifests is None)
        root = self._cluster.application(self._branch.root_of(key))
        problem = self._branch.problem()
        return Observation(
            key=key,
            image=None,
            needs_image=False,
            image_name="",
            manifests=manifests,
            manifests_since=record.manifests_since,
            pushed=manifests is not None and self._is_pushed(key, manifests),
            git_problem=problem.message if problem else "",
            files_in_git=files_in_git,
            files_in_use=(
                self._branch.files_in_use(key, root.revisions) if goes and root else frozenset()
            ),
            root=root,
            application=application,
            namespace=namespace,
            app_project_exists=(
                goes
                and application is None
                and namespace is None
                and self._cluster.app_project_exists(names.app_project)
            ),
            probe=(
                record.probe if manifests and record.probed_digest == manifests.digest else None
            ),
            head_since=record.head_since or self._clock.now(),
            conditions=record.conditions,
            is_held=False,
            place=None,
            sleep=None,
            was=record.phase,
        )

    def _is_pushed(self, key: PreviewKey, manifests: Manifests) -> bool:
        """Whether Git has what they deploy. What they say of the lifetime may still be on its way."""
        if manifests.stage is not Stage.WHOLE:
            return self._branch.is_written(key, manifests)
        known = self._branch.files_in_git(key)
        return NAMESPACE_FILE in known and all(
            known.get(name) == self._branch.blob_id(manifests.files[name])
            for name in (APPLICATION_FILE, DATABASE_FILE, SECRETS_FILE)
            if name in manifests.files
        )

    def _read_cluster(
        self, names: Names, *, now: bool
    ) -> tuple[Application | None, Namespace | None]:
        application = self._cluster.application(names.application)
        namespace = self._cluster.namespace(names.namespace)
        if now:
            application = application or self._cluster.fetch_application(names.application)
            namespace = namespace or self._cluster.fetch_namespace(names.namespace)
        return application, namespace

    def migration_log(self, project: Project, seen: Observation) -> str:
        """What a migration said that failed; read only while a sync of a preview with a database has failed."""
        application = seen.application
        if project.database is None or application is None:
            return ""
        if application.operation_phase not in {"Failed", "Error"}:
            return ""
        namespace = project.names(seen.key.number).namespace
        try:
            return self._cluster.job_log(namespace, MIGRATION_LINES)
        except PreviewsError:
            # That the sync failed is known without it.
            return ""

    def cause_of(self, names: Names, seen: Observation) -> Cause | None:
        """Why its workload does not come up; None while it does, sleeps, or nothing can be said."""
        return self._diagnoses.cause_of(names, seen)

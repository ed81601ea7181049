"""Brings one preview to what its pull request says: observe, plan, apply, record.

Only a key comes in. The pull request is re-read whenever an event was about it, and once in each process, so that a
store restored from yesterday decides nothing.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

import structlog

from previews.domain.naming import Names
from previews.domain.plan import Deadlines, Fact, Observation, Plan, plan
from previews.domain.ports import Clock, Cluster, Forge, Prober, Registry, Renderer, Store
from previews.domain.preview import (
    Application,
    Condition,
    Image,
    Namespace,
    PreviewKey,
    PullRequest,
    Stage,
)
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError, StalledError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.writer import GitOpsWriter

_PASSES_MAX = 4
"""Decide, write, probe, conclude: each pass sees what the one before did."""

_log = structlog.get_logger("previews.reconcile")


class Reconciler:
    """Reconciles keys, called by several threads, for one key by one of them at a time."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        forge: Forge,
        registry: Registry,
        renderer: Renderer,
        cluster: Cluster,
        prober: Prober,
        store: Store,
        clock: Clock,
        writer: GitOpsWriter,
        effects: Effects,
        deadlines: Deadlines,
        look_again: Callable[[PreviewKey, float], None],
        tell: Callable[[str, int], None],
    ) -> None:
        self._projects = projects
        self._forge = forge
        self._registry = registry
        self._renderer = renderer
        self._cluster = cluster
        self._prober = prober
        self._store = store
        self._clock = clock
        self._writer = writer
        self._effects = effects
        self._deadlines = deadlines
        self._look_again = look_again
        self._tell = tell
        self._lock = threading.Lock()
        self._read: set[PreviewKey] = set()
        self._rendered: set[PreviewKey] = set()

    def confirm(self, keys: Iterable[PreviewKey]) -> None:
        """What is stored of these pull requests was found to be what the forge says now."""
        with self._lock:
            self._read.update(keys)

    def reconcile(self, key: PreviewKey) -> None:
        """Look at one preview, and do what there is to do."""
        project = self._projects.get(key.project)
        if project is None:
            _log.info("project is not configured: left as it is", key=str(key))
            return
        stored = self._store.load(key) or PreviewRecord(key=key)
        record, pull_request = self._read_pull_request(project, stored)
        probed = False
        for _ in range(_PASSES_MAX):
            seen = self._observe(project, record, pull_request)
            decision = plan(pull_request, seen, self._clock.now(), self._deadlines)
            before = record = self._conclude(record, decision)
            record = self._apply(record, pull_request, seen, decision)
            if decision.probe and not probed:
                record, probed = self._probe(project, record), True
            if record == before:
                break
        self._record(stored, record)
        if decision.look_again_after_seconds is not None:
            self._look_again(key, decision.look_again_after_seconds)

    def show_error(self, key: PreviewKey, error: PreviewsError) -> None:
        """Keep an error with the preview that it is about, where people look for it."""
        stored = self._store.load(key)
        if stored is None:
            return
        record = replace(stored, reason=error.reason, message=error.message)
        if isinstance(error, StalledError):
            record = replace(record, failed=True)
        if record != stored:
            self._save(record)
            if isinstance(error, StalledError) and record.pull_request:
                self._tell(record.pull_request.repository, key.number)

    def _read_pull_request(
        self, project: Project, stored: PreviewRecord
    ) -> tuple[PreviewRecord, PullRequest]:
        key, known = stored.key, stored.pull_request
        with self._lock:
            was_read = key in self._read
        if known is not None and was_read and not stored.fetch_mark:
            return stored, known
        fetched = self._forge.fetch_pull_request(project.repository, key.number)
        if fetched is None:
            raise StalledError(
                "PullRequestNotFound",
                f"the forge knows no pull request {project.repository}#{key.number}; "
                "nothing is removed for that",
            )
        with self._lock:
            self._read.add(key)
        record = replace(stored, pull_request=fetched)
        if known is None or stored.head_since is None or known.head_sha != fetched.head_sha:
            record = replace(record, head_since=self._clock.now(), conditions=())
        return record, fetched

    def _observe(
        self, project: Project, record: PreviewRecord, pull_request: PullRequest
    ) -> Observation:
        key, manifests = record.key, record.manifests
        names = project.names(key.number)
        files_in_git = frozenset(self._writer.files_in_git(key))
        goes = (
            not pull_request.is_open
            or pull_request.from_fork
            or (manifests is not None and manifests.stage is not Stage.WHOLE)
        )
        # The watch knows only what is ours: an absence, or that nobody else's object is in the way, is read now.
        application, namespace = self._read_cluster(names, now=goes or manifests is None)
        problem = self._writer.problem()
        return Observation(
            key=key,
            image=self._find_image(project, record, pull_request),
            needs_image=project.image_repository is not None,
            manifests=manifests,
            pushed=manifests is not None and self._writer.is_written(key, manifests),
            git_problem=problem.message if problem else "",
            files_in_git=files_in_git,
            files_in_use=self._files_in_use(key) if goes else frozenset(),
            application=application,
            namespace=namespace,
            app_project_exists=(
                goes
                and application is None
                and namespace is None
                and self._cluster.app_project_exists(names.app_project)
            ),
            probe_result=(
                record.probe_result
                if manifests and record.probed_digest == manifests.digest
                else None
            ),
            head_since=record.head_since or self._clock.now(),
            conditions=record.conditions,
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

    def _files_in_use(self, key: PreviewKey) -> frozenset[str]:
        root = self._cluster.application(self._writer.root_of(key))
        return self._writer.files_in_use(key, root.revisions) if root else frozenset()

    def _find_image(
        self, project: Project, record: PreviewRecord, pull_request: PullRequest
    ) -> Image | None:
        """The image of this head_sha. One that was deployed is not asked for again."""
        if project.image_repository is None or not pull_request.is_open or pull_request.from_fork:
            return None
        tag = project.tag(pull_request.number, pull_request.head_sha)
        manifests = record.manifests
        if manifests and manifests.head_sha == pull_request.head_sha:
            return Image(reference=f"{project.image_repository}:{tag}", digest="")
        return self._registry.find_image(project.image_repository, tag)

    def _apply(
        self,
        record: PreviewRecord,
        pull_request: PullRequest,
        seen: Observation,
        decision: Plan,
    ) -> PreviewRecord:
        """Carry a decision out. The record that comes back differs if there is more to observe now."""
        if decision.stage is not None:
            record = self._want(record, pull_request, decision.stage, pushed=seen.pushed)
        if decision.end_operation and seen.application is not None:
            application = seen.application
            self._effects.perform(
                Effect.END_OPERATION,
                application.name,
                lambda: self._cluster.end_operation(application),
            )
        return record

    def _probe(self, project: Project, record: PreviewRecord) -> PreviewRecord:
        digest = record.manifests.digest if record.manifests else ""
        result = self._prober.probe(project.probe_url(record.key.number))
        return replace(record, probed_digest=digest, probe_result=result)

    def _want(
        self, record: PreviewRecord, pull_request: PullRequest, stage: Stage, *, pushed: bool
    ) -> PreviewRecord:
        """Decide what should be in Git, keep that, and only then have it written."""
        key, manifests = record.key, record.manifests
        with self._lock:
            rendered = key in self._rendered
        same = (
            manifests is not None
            and manifests.stage is stage
            and (stage is not Stage.WHOLE or manifests.head_sha == pull_request.head_sha)
        )
        if manifests is None or not (rendered and same):
            manifests = self._renderer.render_preview(pull_request, key, stage)
            with self._lock:
                self._rendered.add(key)
            if manifests != record.manifests:
                pushed = False
                record = replace(record, manifests=manifests)
                self._save(record)
            elif pushed:
                # Known to the writer from now on, so that it mends what others change.
                pushed = False
        if not pushed:
            self._writer.submit(key, manifests, pull_request.author)
        return record

    def _conclude(self, record: PreviewRecord, decision: Plan) -> PreviewRecord:
        now = self._clock.now()
        return replace(
            record,
            phase=decision.phase,
            reason=decision.reason,
            message=decision.message,
            failed=decision.failed,
            conditions=tuple(_condition(fact, record.conditions, now) for fact in decision.facts),
        )

    def _record(self, stored: PreviewRecord, record: PreviewRecord) -> None:
        if record != stored:
            self._save(record)
            if record.pull_request:
                self._tell(record.pull_request.repository, record.key.number)
        if stored.fetch_mark:
            self._effects.perform(
                Effect.CLEAR_MARK,
                record.key,
                lambda: self._store.clear_mark(record.key, stored.fetch_mark),
            )

    def _save(self, record: PreviewRecord) -> None:
        self._effects.perform(Effect.SAVE_RECORD, record.key, lambda: self._store.save(record))


def _condition(fact: Fact, before: tuple[Condition, ...], now: datetime) -> Condition:
    """The condition of a fact; its time is that of the last change of its status."""
    since = next((c.since for c in before if (c.type, c.status) == (fact.type, fact.status)), now)
    return Condition(fact.type, fact.status, fact.reason, fact.message, since)

"""Shows each preview among its forge's deployments, and takes all of them away when the preview is gone.

Showing is a publisher's work, on threads of its own, and delays nothing. Taking away is the last step of a removal:
a forge that is away or limited holds up the end of that one removal alone.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import structlog

from previews.domain.deployments import Shown, deployment_of, environment_of, target_of, task_of
from previews.domain.feedback import Deployment, DeploymentState, PostedDeployment
from previews.domain.forge_ports import Deployments
from previews.domain.observation import Observation, Plan
from previews.domain.ports import Store
from previews.domain.preview import PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.subject import Subject
from previews.errors import PreviewsError, TransientError
from previews.reconcile.deployment_inventory import DeploymentInventory
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.published import Showing
from previews.reconcile.troubles import Troubles

REMOVALS_AT_MOST = 4
"""Of those that ask the forge at the same time: one that hangs must not keep every thread that reconciles."""

_log = structlog.get_logger("previews.deployments")


class DeploymentKeeper:
    """Safe from any thread. Whatever is leaving is not shown again by a publisher that comes late."""

    def __init__(
        self,
        deployments: Deployments | None,
        store: Store,
        effects: Effects,
        *,
        instance: str,
        repositories: Iterable[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deployments`: None where the forge has none. `repositories`: the configured ones."""
        self._deployments = deployments
        self.inventory = DeploymentInventory(
            deployments,
            effects,
            instance=instance,
            repositories=repositories,
            monotonic=monotonic,
        )
        self._instance = instance
        self._store = store
        self._effects = effects
        self._turns = threading.BoundedSemaphore(REMOVALS_AT_MOST)
        self._troubles = Troubles("previews.deployments")
        self._lock = threading.Lock()
        self._leaving: set[PreviewKey] = set()
        self._showing: set[PreviewKey] = set()
        self._proven: set[PreviewKey] = set()
        """Those that leave, and of which a look at the forge found nothing, or left nothing."""
        self._ended: set[PreviewKey] = set()
        """Of projects that are not configured any more: the previews of which nothing is left."""

    # Showing.

    def publish(self, showing: Showing, subject: Subject) -> None:
        """Show how a preview stands: one target of the publisher. Raises what the forge raises."""
        record = subject.record
        wanted = deployment_of(self._instance, record, url=subject.url, log_url=subject.logs_url)
        if self._deployments is None or wanted is None:
            return
        known = showing.published.recall(target_of(record.key.project))
        shown = Shown.parse(known) if known else None
        if shown is not None and not shown.is_worth(wanted):
            return
        with self._showing_of(record.key) as may_be_shown:
            if may_be_shown:
                self._show(self._deployments, showing, record.key, wanted, shown)

    def _show(
        self,
        deployments: Deployments,
        showing: Showing,
        key: PreviewKey,
        wanted: Deployment,
        shown: Shown | None,
    ) -> None:
        repository, target = showing.repository, target_of(key.project)
        known_id, older = self._look(deployments, repository, wanted, shown)
        for deployment_id in older:
            self._effects.perform(
                Effect.SET_DEPLOYMENT,
                key,
                partial(
                    deployments.set_deployment_state,
                    repository,
                    deployment_id,
                    DeploymentState.INACTIVE,
                ),
            )
        # From here on it is not known how it stands, until an answer comes: what was said before counts no more.
        showing.published.note(target, str(Shown(head_sha=wanted.head_sha, id=known_id)))
        made = self._effects.perform(
            Effect.SET_DEPLOYMENT,
            key,
            partial(deployments.ensure_deployment, repository, wanted, known_id),
        )
        showing.published.note(target, str(Shown.of(wanted, made)))

    @staticmethod
    def _look(
        deployments: Deployments, repository: str, wanted: Deployment, shown: Shown | None
    ) -> tuple[int | None, list[int]]:
        """The id of this commit's deployment, if it is known to be there, and those of older commits that may stand."""
        if shown is None:
            # The first one. A forge that has it already, since the store was lost, finds it by its commit.
            return None, []
        if shown.id is not None:
            is_same = shown.head_sha == wanted.head_sha
            return (shown.id, []) if is_same else (None, [shown.id])
        # An answer was lost: what is there is looked for, and nothing is made twice.
        found = [
            each
            for each in deployments.list_deployments(repository, wanted.task)
            if each.task == wanted.task
        ]
        ours = [each.id for each in found if each.head_sha == wanted.head_sha]
        older = [each.id for each in found if each.head_sha != wanted.head_sha]
        return next(iter(ours), None), older

    @contextmanager
    def _showing_of(self, key: PreviewKey) -> Iterator[bool]:
        """Whether it may be shown; until the end of that nobody takes its deployments away."""
        with self._lock:
            may_be_shown = key not in self._leaving
            if may_be_shown:
                self._showing.add(key)
        try:
            yield may_be_shown
        finally:
            with self._lock:
                self._showing.discard(key)

    # Taking away.

    def observe(
        self, project: Project | None, record: PreviewRecord, seen: Observation, *, leaves: bool
    ) -> Observation:
        """Add whether any may be left to what was seen. `leaves`: its pull request is to have no preview.

        The forge is not asked here: all that costs a request waits until everything else is gone. A preview that goes
        only to come back keeps its deployments, and does not wait for a forge.
        """
        key = record.key
        with self._lock:
            (self._leaving.add if leaves else self._leaving.discard)(key)
            if not leaves:
                self._proven.discard(key)
        if self._deployments is None or not leaves:
            self._troubles.forget(key)
            return seen
        return replace(
            seen,
            deployments_left=self._may_be_left(project, record),
            deployment_trouble=self._troubles.of(key),
        )

    def _may_be_left(self, project: Project | None, record: PreviewRecord) -> bool | None:
        """None where there never was one; False where all of them are known to be gone."""
        repository = _repository_of(project, record)
        if not repository:
            return None
        known = self._store.published(repository, record.key.number)
        target = target_of(record.key.project)
        if target in known:
            return known[target] != ""
        # A store that was lost remembers none: then the forge is asked, once, before the receipt is written.
        under_way = record.removal is not None and record.removal.finished_at is None
        with self._lock:
            return True if under_way and record.key not in self._proven else None

    def work(self, project: Project | None, record: PreviewRecord, decision: Plan) -> bool:
        """Take all of them away, if that was decided. Says whether there is more to observe now."""
        deployments, key = self._deployments, record.key
        if deployments is None or not decision.drop_deployments:
            return False
        with self._lock:
            if key in self._showing:
                return False
        if not self._turns.acquire(blocking=False):
            return False
        try:
            self._remove_all(deployments, _repository_of(project, record), key)
        except PreviewsError as error:
            self._troubles.note(key, error)
            return False
        finally:
            self._turns.release()
        self._troubles.forget(key)
        with self._lock:
            self._proven.add(key)
        return True

    def _remove_all(self, deployments: Deployments, repository: str, key: PreviewKey) -> None:
        known = self._store.published(repository, key.number).get(target_of(key.project))
        unsure = str(Shown())
        if known is not None and known != unsure:
            # It may come back before all of them are gone: then what is there is looked for.
            self._remember(repository, key, unsure)
        task = task_of(self._instance, key)
        found = [
            each
            for each in deployments.list_deployments(repository, task)
            # Those of others carry other tasks, whatever a forge gives.
            if each.task == task
        ]
        for each in found:
            self._remove(deployments, repository, key, each)
        if found or known is not None:
            self._remember(repository, key, "")

    def _remove(
        self, deployments: Deployments, repository: str, key: PreviewKey, found: PostedDeployment
    ) -> None:
        self._effects.perform(
            Effect.REMOVE_DEPLOYMENT,
            key,
            partial(deployments.remove_deployment, repository, found.id),
        )
        self.inventory.forget(found.id)

    def end(self, record: PreviewRecord, every: Iterable[PreviewRecord]) -> str:
        """Nothing is left of this preview of a project that is not configured any more.

        With the last of them the project's environment goes as well. Comes back with why it may not: that holds up
        nothing, and a person may remove it. Raises what may pass by itself.
        """
        deployments, project = self._deployments, record.key.project
        if deployments is None or record.pull_request is None:
            return ""
        with self._lock:
            self._ended.add(record.key)
            ended = frozenset(self._ended)
        others = (each for each in every if each.key.project == project)
        if not all(each.is_gone or each.key in ended for each in others):
            return ""
        repository, environment = record.pull_request.repository, environment_of(project)
        try:
            for each in deployments.list_deployments(repository):
                if each.environment == environment:
                    return f"the environment {environment} stays: others have deployments there"
            self._effects.perform(
                Effect.REMOVE_ENVIRONMENT,
                project,
                partial(deployments.remove_environment, repository, environment),
            )
        except PreviewsError as error:
            if isinstance(error, TransientError) and error.reason != "ForgeForbidden":
                raise
            _log.warning(
                "environment stays",
                environment=environment,
                repository=repository,
                reason=error.reason,
                message=error.message,
            )
            return f"the environment {environment} stays: {error.message}"
        return ""

    def _remember(self, repository: str, key: PreviewKey, shown: str) -> None:
        self._effects.perform(
            Effect.RECORD_PUBLISHED,
            f"{repository}#{key.number}",
            partial(
                self._store.record_published, repository, key.number, target_of(key.project), shown
            ),
        )


def _repository_of(project: Project | None, record: PreviewRecord) -> str:
    """As the forge spells it, where it was ever asked; empty if nobody knows."""
    if record.pull_request is not None:
        return record.pull_request.repository
    return project.repository if project else ""

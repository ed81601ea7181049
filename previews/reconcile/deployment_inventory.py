"""Every deployment of ours at the forge, listed little by little: forges count requests by the hour.

A listing is good for an hour. What we remove meanwhile is taken out of it, and before anything is removed for standing
in one, the forge is asked again.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import structlog

from previews.domain.deployments import owner_of, task_of
from previews.domain.feedback import PostedDeployment
from previews.domain.forge_ports import Deployments
from previews.domain.inventory import Kind, OwnedObject
from previews.domain.naming import short_sha
from previews.domain.preview import HeadSha
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects

LIST_AGAIN_SECONDS = 3600.0
LISTED_PER_LOOK = 10
"""Repositories that one look lists anew: 120 an hour at one look in five minutes."""

_log = structlog.get_logger("previews.deployments")


@dataclass(frozen=True, slots=True)
class _Listed:
    repository: str
    deployment: PostedDeployment


class DeploymentInventory:
    """Safe from any thread."""

    def __init__(
        self,
        deployments: Deployments | None,
        effects: Effects,
        *,
        instance: str,
        repositories: Iterable[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deployments`: None where the forge has none."""
        self._deployments = deployments
        self._effects = effects
        self._instance = instance
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._tried_at: dict[str, float | None] = dict.fromkeys(sorted(set(repositories)))
        self._listed: dict[int, _Listed] = {}
        self._problems: dict[str, str] = {}

    def owned_objects(self) -> list[OwnedObject]:
        """Those of ours that are known. A repository that cannot be listed has those that it had: see `problems`."""
        for repository in self._due():
            self._list(repository)
        with self._lock:
            return [
                OwnedObject(
                    kind=Kind.DEPLOYMENT,
                    name=_name(each),
                    uid=str(deployment_id),
                    owner=owner_of(self._instance, each.deployment.task),
                )
                for deployment_id, each in sorted(self._listed.items())
            ]

    def problems(self) -> tuple[str, ...]:
        """Why some could not be listed when it was last their turn. They keep nothing else from being collected."""
        with self._lock:
            return tuple(self._problems[each] for each in sorted(self._problems))

    def remove_object(self, found: OwnedObject) -> bool:
        """Remove this deployment; False if it is not there any more."""
        with self._lock:
            listed = self._listed.get(int(found.uid))
        if self._deployments is None or found.owner is None or listed is None:
            return False
        task = task_of(self._instance, found.owner)
        there = self._deployments.list_deployments(listed.repository, task)
        is_there = any(each.id == listed.deployment.id and each.task == task for each in there)
        if is_there:
            self._effects.perform(
                Effect.REMOVE_DEPLOYMENT,
                found.owner,
                partial(
                    self._deployments.remove_deployment, listed.repository, listed.deployment.id
                ),
            )
        self.forget(listed.deployment.id)
        return is_there

    def forget(self, deployment_id: int) -> None:
        """It is gone."""
        with self._lock:
            self._listed.pop(deployment_id, None)

    def _due(self) -> list[str]:
        """The repositories to be listed now, those that have waited for longest first."""
        if self._deployments is None:
            return []
        now = self._monotonic()
        with self._lock:
            due = [
                (-1.0 if at is None else at, repository)
                for repository, at in self._tried_at.items()
                if at is None or now - at >= LIST_AGAIN_SECONDS or repository in self._problems
            ]
        return [repository for _, repository in sorted(due)[:LISTED_PER_LOOK]]

    def _list(self, repository: str) -> None:
        if self._deployments is None:
            return
        try:
            found = self._deployments.list_deployments(repository)
        except PreviewsError as error:
            self._note(repository, error)
            return
        with self._lock:
            self._tried_at[repository] = self._monotonic()
            self._problems.pop(repository, None)
            others = {n: each for n, each in self._listed.items() if each.repository != repository}
            ours = {
                each.id: _Listed(repository, each)
                for each in found
                if owner_of(self._instance, each.task) is not None
            }
            self._listed = others | ours

    def _note(self, repository: str, error: PreviewsError) -> None:
        problem = f"the deployments of {repository} could not be listed: {error.message}"
        with self._lock:
            # It is tried again at the next look, after those that were not tried for longer.
            self._tried_at[repository] = self._monotonic()
            is_news = self._problems.get(repository) != problem
            self._problems[repository] = problem
        if is_news:
            _log.warning("not listed", repository=repository, reason=error.reason, message=problem)


def _name(listed: _Listed) -> str:
    return f"{listed.repository}@{short_sha(HeadSha(listed.deployment.head_sha))}"

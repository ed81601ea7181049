"""Which repository each configured name means: a repository keeps its number when it is renamed or moved.

The forge leads from the old name to the new one. Another repository that takes the old name is another repository, and
decides nothing about the previews of the one before it.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import partial

import structlog

from previews.domain.ports import Store
from previews.domain.preview import PullRequest
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import TransientError
from previews.reconcile.effects import Effect, Effects

_log = structlog.get_logger("previews.repositories")


class Repositories:
    """What the configured repositories are called now. Safe from any thread."""

    def __init__(self, projects: Mapping[str, Project], store: Store, effects: Effects) -> None:
        self._projects = projects
        self._store = store
        self._effects = effects
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        """By the configured name, the one that the forge said last."""

    def remember(self, records: Iterable[PreviewRecord]) -> None:
        """What a former process learnt."""
        for record in records:
            project, known = self._projects.get(record.key.project), record.pull_request
            if project and known and known.repository_id and not record.is_gone:
                self._learn(project.repository, known.repository)

    def name_of(self, configured: str) -> str:
        """What to ask the forge for."""
        with self._lock:
            return self._names.get(configured, configured)

    def projects_at(self, repository: str) -> list[Project]:
        """Those of a repository by any of its names, whatever the case of its letters."""
        wanted = repository.casefold()
        with self._lock:
            return [
                project
                for project in self._projects.values()
                if wanted
                in {
                    project.repository.casefold(),
                    self._names.get(project.repository, "").casefold(),
                }
            ]

    def follow(
        self, configured: str, read: PullRequest, known: Iterable[PullRequest | None]
    ) -> None:
        """What was read is to be compared with what is known: note a new name, and refuse another repository.

        Raises TransientError for that: it may be renamed back, or the project be drained.
        """
        former = [each for each in known if each is not None]
        if not read.repository_id:
            return
        for each in former:
            if each.repository_id not in {0, read.repository_id}:
                # The next time the configured name is asked for, which may lead to the right one again.
                self._forget(configured)
                raise TransientError(
                    "RepositoryReplaced",
                    f"{read.repository} is another repository than the one that the previews are of: its number at "
                    f"the forge is {read.repository_id}, and theirs is {each.repository_id}; nothing is changed or "
                    "removed for it (docs/operations.md says what to do)",
                )
        for name in {
            each.repository
            for each in former
            if (each.repository, each.repository_id) != (read.repository, read.repository_id)
        }:
            if name != read.repository:
                _log.warning("renamed", was=name, now=read.repository, id=read.repository_id)
            self._effects.perform(
                Effect.SAVE_RECORD,
                read.repository,
                partial(self._store.name_repository, read.repository_id, read.repository, was=name),
            )
        self._learn(configured, read.repository)

    def _learn(self, configured: str, name: str) -> None:
        with self._lock:
            self._names[configured] = name

    def _forget(self, configured: str) -> None:
        with self._lock:
            self._names.pop(configured, None)

"""Watches over the migrations that ran in each preview's database: one that is edited afterwards will not run again.

The database itself says up to which commit it was migrated, as far as none was edited. That goes on with each commit
that went live, and stays where it is while something was edited, until the database is made anew or the edit is undone.
"""

import threading
from dataclasses import replace
from functools import partial

import structlog

from previews.domain.database import Database, Provider
from previews.domain.forge_ports import Forge
from previews.domain.migrations import changed_after_they_ran, reset_offer
from previews.domain.preview import HeadSha, Phase, PreviewKey, parse_head_sha
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.repositories import Repositories
from previews.reconcile.server_watch import ServerWatch

_log = structlog.get_logger("previews.databases")


class Migrations:
    """Safe from any thread."""

    def __init__(
        self, watch: ServerWatch, forge: Forge, repositories: Repositories, effects: Effects
    ) -> None:
        self._watch = watch
        self._forge = forge
        self._repositories = repositories
        self._effects = effects
        self._lock = threading.Lock()
        self._judged: dict[PreviewKey, tuple[str, str, str]] = {}
        """What was said last, and of which two commits: a pair of commits stays as it is."""

    def judge(self, project: Project, record: PreviewRecord) -> PreviewRecord:
        """Note which commit is live now, and what of the migrations was edited. What cannot be read stays as it was."""
        policy = project.database
        head_sha = record.manifests.head_sha if record.manifests else None
        if policy is None or policy.provider is not Provider.POSTGRES or not policy.migrations:
            return record
        if record.phase is not Phase.LIVE or head_sha is None:
            return record
        try:
            database = self._watch.known(policy.server, record.key)
            said = self._judge(project, record.key, database, head_sha) if database else ""
        except PreviewsError as error:
            _log.warning(
                "migrations", key=str(record.key), reason=error.reason, message=error.message
            )
            return record
        return replace(record, edited_migrations=said)

    def _judge(
        self, project: Project, key: PreviewKey, database: Database, head_sha: HeadSha
    ) -> str:
        ran = database.migrated
        if ran == head_sha:
            return ""
        with self._lock:
            before = self._judged.get(key)
        if before and before[:2] == (ran, head_sha):
            said = before[2]
        else:
            said = self._compare(project, parse_head_sha(ran), head_sha, key) if ran else ""
            with self._lock:
                self._judged[key] = (ran, head_sha, said)
        if not said:
            # Also of what was judged before: a database that was made anew knows nothing of it.
            self._note(project, key, head_sha)
        return said

    def _compare(self, project: Project, ran: HeadSha, now: HeadSha, key: PreviewKey) -> str:
        folder = project.database.migrations if project.database else ""
        repository = self._repositories.name_of(project.repository)
        files = [self._forge.list_files(repository, each, folder) for each in (ran, now)]
        return reset_offer(changed_after_they_ran(*files), key)

    def _note(self, project: Project, key: PreviewKey, head_sha: HeadSha) -> None:
        server = project.database.server if project.database else ""
        self._effects.perform(
            Effect.NOTE_MIGRATED,
            key,
            partial(self._watch.server(server).note_migrated, key, head_sha),
        )
        self._watch.forget(server, key)

"""Reads a preview's pull request: whenever an event was about it, and once in each process.

So a store that was restored from yesterday decides nothing.
"""

import threading
from collections.abc import Iterable
from dataclasses import replace

from previews.domain.forge_ports import Forge
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey, PullRequest
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.reconcile.repositories import Repositories


class PullRequestReader:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(self, *, forge: Forge, repositories: Repositories, clock: Clock) -> None:
        self._forge = forge
        self._repositories = repositories
        self._clock = clock
        self._lock = threading.Lock()
        self._read: set[PreviewKey] = set()

    def confirm(self, keys: Iterable[PreviewKey]) -> None:
        """What is stored of these pull requests was found to be what the forge says now.

        Only then they count as read: whoever fails between reading one and storing it has to read it again.
        """
        with self._lock:
            self._read.update(keys)

    def read(
        self, project: Project, stored: PreviewRecord
    ) -> tuple[PreviewRecord, PullRequest] | None:
        """The pull request, and the record with it, as of now; None if the forge does not know it."""
        key, known = stored.key, stored.pull_request
        with self._lock:
            was_read = key in self._read
        if known is not None and was_read and not stored.fetch_mark:
            return stored.as_of(self._clock.now()), known
        repository = self._repositories.name_of(project.repository)
        fetched = self._forge.fetch_pull_request(repository, key.number)
        if fetched is None:
            return None
        if not stored.is_gone:
            self._repositories.follow(project.repository, fetched, [known])
        record = replace(stored.as_of(self._clock.now()), pull_request=fetched)
        if known is None or stored.head_since is None or known.head_sha != fetched.head_sha:
            record = replace(record, head_since=self._clock.now(), conditions=())
        return record, fetched

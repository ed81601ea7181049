"""Compares what is known with what the forge, Git and the cluster say, now and then. Alone it is enough.

Every webhook may be lost: a resync reaches the same state. It deletes nothing: a pull request that is missing from the
listing is marked, and then read by itself before anything is decided.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from previews.domain.ports import Clock, Cluster, Forge, Store
from previews.domain.preview import Phase, PreviewKey, PullRequest
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.brake import CHANGED
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.writer import GitOpsWriter

RETRY_SECONDS = 5.0
RECEIPTS_KEPT = timedelta(days=30)
BUG = "resync"
"""Among the problems, where the others are of repositories."""

_log = structlog.get_logger("previews.resync")


class Resync:
    """The periodic comparison, on a thread of its own."""

    def __init__(
        self,
        *,
        projects: Mapping[str, Project],
        forge: Forge,
        store: Store,
        cluster: Cluster,
        writer: GitOpsWriter,
        effects: Effects,
        clock: Clock,
        interval_seconds: float,
        enqueue: Callable[[Iterable[PreviewKey]], None],
        confirm: Callable[[Iterable[PreviewKey]], None],
        suspect: Callable[[Iterable[PreviewKey], str], None],
        adopt: Callable[[Iterable[PreviewKey]], None],
        elsewhere: Callable[[], set[PreviewKey]],
    ) -> None:
        self._elsewhere = elsewhere
        self._projects = projects
        self._forge = forge
        self._store = store
        self._cluster = cluster
        self._writer = writer
        self._effects = effects
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._enqueue = enqueue
        self._confirm = confirm
        self._suspect = suspect
        self._adopt = adopt
        self._problems: dict[str, str] = {}
        self.completed_at: datetime | None = None
        """When everything was last read and compared."""

    def run(self, stop: threading.Event, after_first: Callable[[], None]) -> None:
        """Resync at once and then at each interval; sooner after one that failed.

        `after_first` is called when the first attempt is over, however it went.
        """
        everything = True
        while not stop.is_set():
            complete = self._try(everything=everything)
            everything = everything and not complete
            after_first()
            after_first = _nothing
            stop.wait(
                self._interval_seconds if complete else min(RETRY_SECONDS, self._interval_seconds)
            )

    def _try(self, *, everything: bool) -> bool:
        try:
            complete = self.resync(everything=everything)
        except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the comparing in silence
            _log.exception("bug")
            self._problems[BUG] = f"a bug in previews: {error!r}"
            return False
        self._problems.pop(BUG, None)
        return complete

    def problem(self) -> str | None:
        """Which repositories could not be listed the last time."""
        return "; ".join(f"{name}: {text}" for name, text in self._problems.items()) or None

    def resync(self, *, everything: bool) -> bool:
        """One comparison. `everything`: look at every preview, as after a start. Says whether all could be read."""
        self._writer.request_fetch()
        try:
            records = {record.key: record for record in self._store.list_records()}
        except PreviewsError as error:
            _log.warning("store", reason=error.reason, message=error.message)
            return False
        for repository in sorted({project.repository for project in self._projects.values()}):
            self._resync_repository(repository, records)
        found = self._inventory(records)
        self._forget(records.values())
        if everything:
            # What is over, and has left nothing anywhere, needs no look after each start.
            self._enqueue(
                key
                for key, record in records.items()
                if not _is_over(record) or key in (found or ())
            )
        complete = found is not None and not self._problems.keys() - {BUG}
        if complete:
            self.completed_at = self._clock.now()
        return complete

    def _resync_repository(
        self, repository: str, records: Mapping[PreviewKey, PreviewRecord]
    ) -> None:
        try:
            listed = {pr.number: pr for pr in self._forge.list_open_pull_requests(repository)}
            changed, same = self._compare(repository, listed, records)
            self._confirm(same)
            # Before any of them is looked at: a listing may lack many, or a label be set on many, at once.
            self._suspect(
                [key for key in changed if _may_go(listed.get(key.number), records.get(key))],
                CHANGED,
            )
            self._mark(key for key in changed if key not in records or not records[key].fetch_mark)
            self._enqueue(changed)
        except PreviewsError as error:
            self._problems[repository] = error.message
            _log.warning(
                "resync", repository=repository, reason=error.reason, message=error.message
            )
        else:
            self._problems.pop(repository, None)

    def _compare(
        self,
        repository: str,
        listed: Mapping[int, PullRequest],
        records: Mapping[PreviewKey, PreviewRecord],
    ) -> tuple[list[PreviewKey], list[PreviewKey]]:
        """The previews whose pull request has to be read by itself, and those known as they are."""
        changed: list[PreviewKey] = []
        same: list[PreviewKey] = []
        for project in self._projects.values():
            if project.repository != repository:
                continue
            known = {
                key.number: record.pull_request
                for key, record in records.items()
                if key.project == project.name
            }
            for number in listed.keys() | known.keys():
                key = PreviewKey(project.name, number)
                now, then = listed.get(number), known.get(number)
                gone = now is None and then is not None and not then.is_open
                (same if gone or (now is not None and now == then) else changed).append(key)
        return changed, same

    def _inventory(self, records: Mapping[PreviewKey, PreviewRecord]) -> set[PreviewKey] | None:
        """Previews that Git, the cluster or a database server has; None: it cannot be read.

        Those that the store does not know are marked: it was lost, or restored.
        """
        try:
            found = self._writer.keys_in_git() | self._cluster.owned_keys() | self._elsewhere()
            unknown = [key for key in found if key not in records]
            self._adopt(unknown)
            self._mark(unknown)
        except PreviewsError as error:
            _log.warning("inventory", reason=error.reason, message=error.message)
            return None
        return found

    def _forget(self, records: Iterable[PreviewRecord]) -> None:
        """Drop what was removed so long ago that nobody will ask for its receipt."""
        before = self._clock.now() - RECEIPTS_KEPT
        for record in records:
            ended = record.removal.finished_at if record.removal else record.head_since
            if record.phase is Phase.REMOVED and ended is not None and ended < before:
                try:
                    self._effects.perform(
                        Effect.FORGET, record.key, partial(self._store.forget, record.key)
                    )
                except PreviewsError as error:
                    _log.warning("store", reason=error.reason, message=error.message)
                    return

    def _mark(self, keys: Iterable[PreviewKey]) -> None:
        changed = sorted(keys)
        if changed:
            self._effects.perform(
                Effect.MARK_FOR_FETCH,
                f"{len(changed)} previews",
                lambda: self._store.mark_for_fetch(changed),
            )
            self._enqueue(changed)


def _may_go(now: PullRequest | None, known: PreviewRecord | None) -> bool:
    """Whether a preview may have to go for what changed."""
    then = known.pull_request if known else None
    if now is None or then is None:
        return now is None
    return (now.labels, now.from_fork) != (then.labels, then.from_fork)


def _is_over(record: PreviewRecord) -> bool:
    pull_request = record.pull_request
    closed = pull_request is not None and not pull_request.is_open
    return closed and record.phase is Phase.REMOVED and not record.fetch_mark


def _nothing() -> None:
    """After every attempt but the first."""

"""Compares what is known with what the forge, Git and the cluster say, now and then. Alone it is enough.

Every webhook may be lost: a resync reaches the same state. It deletes nothing: a pull request that is missing from the
listing is marked, and then read by itself before anything is decided. No repository keeps the others waiting: one that
cannot be read is passed over, and whoever was not asked yet comes first the next time.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from previews.domain.forge_ports import Forge
from previews.domain.ports import Clock, Cluster, Store
from previews.domain.preview import Phase, PreviewKey, PullRequest
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.brake import CHANGED
from previews.reconcile.branch import GitBranch
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.published import PullRequestKey
from previews.reconcile.repositories import Repositories
from previews.reconcile.writer import GitOpsWriter

RETRY_SECONDS = 5.0
"""After a round that could not read everything; twice as long after each further one, up to the next."""
RETRY_SECONDS_MAX = 30.0
LIMITED = "ForgeRateLimited"
UNREACHABLE = "ForgeUnreachable"
SILENT_AT_MOST = 3
"""So many repositories in a row without an answer: it is the forge that has none, and the round ends."""
LISTINGS = ("read", "limited", "failed")
"""What becomes of the listing of a repository."""
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
        branch: GitBranch,
        writer: GitOpsWriter,
        effects: Effects,
        clock: Clock,
        interval_seconds: float,
        enqueue: Callable[[Iterable[PreviewKey]], None],
        mark: Callable[[Iterable[PreviewKey]], None],
        confirm: Callable[[Iterable[PreviewKey]], None],
        suspect: Callable[[Iterable[PreviewKey], str], None],
        adopt: Callable[[Collection[PreviewKey]], None],
        converse: Callable[[Mapping[PullRequestKey, datetime]], None],
        look_at_rules: Callable[[Iterable[PreviewRecord]], None],
        elsewhere: Callable[[], set[PreviewKey]],
        repositories: Repositories,
    ) -> None:
        self._look_at_rules = look_at_rules
        self._elsewhere = elsewhere
        self._repositories = repositories
        self._converse = converse
        self._projects = projects
        self._forge = forge
        self._store = store
        self._cluster = cluster
        self._branch = branch
        self._writer = writer
        self._effects = effects
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._enqueue = enqueue
        self._mark = mark
        self._confirm = confirm
        self._suspect = suspect
        self._adopt = adopt
        self._problems: dict[str, str] = {}
        self._configured = {project.repository for project in projects.values()}
        self._rounds = itertools.count(1)
        self._tried: dict[str, int] = {}
        """By repository, the round in which it was last asked for and not put off."""
        self._read_at: dict[str, datetime] = {}
        self._heard: dict[str, dict[PullRequestKey, datetime | None]] = {}
        """By repository, how its pull requests stood when their comments were last seen to."""
        self._marked: dict[str, dict[PreviewKey, PullRequest | None]] = {}
        """By repository, what was found to have changed in the last round, and how it was listed."""
        self._listings: Counter[str] = Counter()
        self.completed_at: datetime | None = None
        """Since then everything was read and compared."""

    def run(self, stop: threading.Event, after_first: Callable[[], None]) -> None:
        """Resync at once and then at each interval; sooner after one that failed.

        `after_first` is called when the first attempt is over, however it went.
        """
        everything, complete = True, True
        retry_seconds = RETRY_SECONDS
        while not stop.is_set():
            complete = self._try(everything=everything, again=not complete)
            everything = everything and not complete
            after_first()
            after_first = _nothing
            pause = self._interval_seconds if complete else retry_seconds
            retry_seconds = RETRY_SECONDS if complete else min(2 * retry_seconds, RETRY_SECONDS_MAX)
            stop.wait(min(pause, self._interval_seconds))

    def _try(self, *, everything: bool, again: bool) -> bool:
        try:
            complete = self.resync(everything=everything, again=again)
        except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the comparing in silence
            _log.exception("bug")
            self._problems[BUG] = f"a bug in previews: {error!r}"
            return False
        self._problems.pop(BUG, None)
        return complete

    def problem(self) -> str | None:
        """Which repositories could not be listed the last time."""
        problems = dict(self._problems)
        return "; ".join(f"{name}: {text}" for name, text in problems.items()) or None

    def listings(self) -> Mapping[str, int]:
        """How many there were since the start, by what became of them."""
        return {result: self._listings[result] for result in LISTINGS}

    def resync(self, *, everything: bool, again: bool = False) -> bool:
        """One comparison. `everything`: look at every preview, as after a start. Says whether all could be read.

        `again`: after one that could not, so that what was read within the interval need not be read once more.
        """
        self._writer.request_fetch()
        try:
            records = {record.key: record for record in self._store.list_records()}
        except PreviewsError as error:
            _log.warning("store", reason=error.reason, message=error.message)
            return False
        self._look_at_rules(records.values())
        is_whole = self._resync_repositories(records, again=again)
        found = self._inventory(records)
        self._forget(records.values())
        if everything:
            # What is over, and has left nothing anywhere, needs no look after each start.
            self._enqueue(
                key
                for key, record in records.items()
                if not _is_over(record) or key in (found or ())
            )
        if found is not None and self._read_at.keys() >= self._configured:
            self.completed_at = min(self._read_at.values(), default=self._clock.now())
        return found is not None and is_whole and not self._problems.keys() - {BUG}

    def _resync_repositories(
        self, records: Mapping[PreviewKey, PreviewRecord], *, again: bool
    ) -> bool:
        """One round, those first that waited longest. Says whether it came to its end."""
        turn, now = next(self._rounds), self._clock.now()
        owners: set[str] = set()
        silent = 0
        for repository in sorted(
            self._configured, key=lambda name: (self._tried.get(name, 0), name)
        ):
            owner = repository.partition("/")[0]
            if owner in owners or (again and self._is_fresh(repository, now)):
                continue
            reason = self._resync_repository(repository, records)
            self._listings[
                "read" if not reason else "limited" if reason == LIMITED else "failed"
            ] += 1
            if reason == LIMITED:
                # A limit is an account's: the others of this owner would be refused too, and come first the next time.
                owners.add(owner)
            else:
                self._tried[repository] = turn
            silent = silent + 1 if reason == UNREACHABLE else 0
            if silent == SILENT_AT_MOST:
                return False
        return not owners

    def _is_fresh(self, repository: str, now: datetime) -> bool:
        read_at = self._read_at.get(repository)
        if read_at is None or repository in self._problems:
            return False
        return timedelta(0) <= now - read_at < timedelta(seconds=self._interval_seconds)

    def _resync_repository(
        self, repository: str, records: Mapping[PreviewKey, PreviewRecord]
    ) -> str:
        """The reason why it could not be read, if it could not."""
        try:
            name = self._repositories.name_of(repository)
            listed = {pr.number: pr for pr in self._forge.list_open_pull_requests(name)}
            for pull_request in list(listed.values())[:1]:
                self._repositories.follow(
                    repository, pull_request, self._known_at(repository, records)
                )
            changed, same = self._compare(repository, listed, records)
            self._confirm(same)
            # Before any of them is looked at: a listing may lack many, or a label be set on many, at once.
            self._suspect(
                [key for key in changed if _may_go(listed.get(key.number), records.get(key))],
                CHANGED,
            )
            self._mark_changed(repository, changed, listed, records)
            self._enqueue(changed)
            self._talk(repository, listed.values())
        except PreviewsError as error:
            self._problems[repository] = error.message
            _log.warning(
                "resync", repository=repository, reason=error.reason, message=error.message
            )
            return error.reason
        self._problems.pop(repository, None)
        self._read_at[repository] = self._clock.now()
        return ""

    def _mark_changed(
        self,
        repository: str,
        changed: Iterable[PreviewKey],
        listed: Mapping[int, PullRequest],
        records: Mapping[PreviewKey, PreviewRecord],
    ) -> None:
        """Also what was marked when the round began: by now it may have been read, before it became as listed.

        But not what was listed like this in the last round and was not read since, or it would be marked for ever.
        """
        before, now = self._marked.get(repository, {}), {k: listed.get(k.number) for k in changed}
        known = {key for key in before.keys() & now.keys() if before[key] == now[key]}
        waiting = {key for key in known & records.keys() if records[key].fetch_mark}
        self._mark(now.keys() - waiting)
        self._marked[repository] = now

    def _known_at(
        self, repository: str, records: Mapping[PreviewKey, PreviewRecord]
    ) -> list[PullRequest | None]:
        """The pull requests of the previews that there are; what is left of others decides nothing."""
        names = {p.name for p in self._projects.values() if p.repository == repository}
        return [
            record.pull_request
            for key, record in records.items()
            if key.project in names and not record.is_gone
        ]

    def _talk(self, repository: str, listed: Iterable[PullRequest]) -> None:
        """Have the comments read of those on which something happened since they were: no command is lost."""
        before, now = self._heard.get(repository, {}), {}
        news: dict[PullRequestKey, datetime] = {}
        for pull_request in listed:
            place, moment = (pull_request.repository, pull_request.number), pull_request.updated_at
            now[place] = moment
            if moment is None or before.get(place) == moment:
                continue
            until = self._store.comments_read_until(*place)
            if until is None or until < moment:
                news[place] = moment
        self._converse(news)
        self._heard[repository] = now

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
                (same if gone or _is_same(now, then) else changed).append(key)
        return changed, same

    def _inventory(self, records: Mapping[PreviewKey, PreviewRecord]) -> set[PreviewKey] | None:
        """Previews that Git, the cluster or a database server has; None: it cannot be read.

        Those that the store does not know are marked: it was lost, or restored.
        """
        try:
            found = self._branch.keys_in_git() | self._cluster.owned_keys() | self._elsewhere()
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


def _is_same(now: PullRequest | None, then: PullRequest | None) -> bool:
    if now is None or then is None:
        return False
    # Of what an older version read no number is known, which is no change.
    return now == (then if then.repository_id else replace(then, repository_id=now.repository_id))


def _may_go(now: PullRequest | None, known: PreviewRecord | None) -> bool:
    """Whether a preview may have to go for what changed."""
    then = known.pull_request if known else None
    if now is None or then is None:
        return now is None
    if now.from_fork and now.head_sha != then.head_sha:
        # What was approved was another commit.
        return True
    return _judged(now) != _judged(then)


def _judged(pull_request: PullRequest) -> tuple[object, ...]:
    """What a policy may look at, of what changes in the life of a pull request."""
    return (
        pull_request.labels,
        pull_request.from_fork,
        pull_request.is_draft,
        pull_request.base_branch,
        pull_request.title,
    )


def _is_over(record: PreviewRecord) -> bool:
    pull_request = record.pull_request
    closed = pull_request is not None and not pull_request.is_open
    return closed and record.phase is Phase.REMOVED and not record.fetch_mark


def _nothing() -> None:
    """After every attempt but the first."""

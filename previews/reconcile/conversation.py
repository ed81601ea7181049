"""Reads what people ask for in the comments of one pull request, on a thread of its own: no deployment waits for it.

Nothing is lost and nothing is done twice: what was asked for is kept first, then acknowledged, and only then noted as
read. Comments are read from the forge, never taken from an event.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from previews.domain.commands import is_addressed, parse
from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.domain.forge_ports import Forge
from previews.domain.ports import Clock, Store
from previews.domain.project import Project
from previews.domain.replies import answered_ids, reply_marker
from previews.errors import StalledError
from previews.reconcile.commands import Answer, Commands, said_at
from previews.reconcile.doubts import Doubts
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.published import Doubt, PullRequestKey
from previews.reconcile.queue import WorkQueue
from previews.reconcile.repositories import Repositories

OBEYED_FOR = timedelta(days=7)
"""A command that was written earlier than this is not obeyed any more, whenever it is found."""
SETTLES_AFTER = timedelta(seconds=5)
"""Forges tell time by the second: what was said in the same second may appear later. After this, nothing does."""
_TICK = timedelta(seconds=1)
STRANGERS_ANSWERED_MAX = 30
"""Reactions to people who may not, in an hour: nobody makes us write without end."""
RERUNS_WAITING_MAX = 20
_HOUR = timedelta(hours=1)

_log = structlog.get_logger("previews.conversation")


@dataclass(frozen=True, slots=True)
class Rerun:
    """Somebody pressed the button that runs a check again."""

    projects: tuple[str, ...]
    sender: str
    delivery: str
    """The GUID of the delivery that said so. It was pressed when that came, and is done when the store says so."""


class Conversation:
    """`read` is called by one thread at a time; the rest is safe from any."""

    def __init__(
        self,
        *,
        instance: str,
        repositories: Repositories,
        queue: WorkQueue[PullRequestKey],
        forge: Forge,
        store: Store,
        effects: Effects,
        clock: Clock,
        commands: Commands,
        doubts: Doubts,
    ) -> None:
        self._instance = instance
        self._repositories = repositories
        self._queue = queue
        self._forge = forge
        self._store = store
        self._effects = effects
        self._clock = clock
        self._commands = commands
        self._doubts = doubts
        self._lock = threading.Lock()
        self._updated_at: dict[PullRequestKey, datetime] = {}
        self._reruns: dict[PullRequestKey, list[Rerun]] = {}
        self._done: dict[PullRequestKey, set[int]] = {}
        """Comments that a next reading finds again, and that were dealt with."""
        self._strangers: deque[datetime] = deque(maxlen=STRANGERS_ANSWERED_MAX)

    def converse(self, news: Mapping[PullRequestKey, datetime]) -> None:
        """Have pull requests read on which something happened, at these times."""
        earliest = self._clock.now() - OBEYED_FOR
        due = {place: moment for place, moment in news.items() if moment >= earliest}
        with self._lock:
            self._updated_at.update(due)
        for place in due:
            self._queue.add(place)

    def hear(self, pull_request: PullRequestKey) -> None:
        """Have it read: somebody wrote a comment."""
        self._queue.add(pull_request)

    def rerun(self, wanted: Mapping[PullRequestKey, Rerun]) -> None:
        """Have all of this done with the next readings, if whoever asks may.

        Whether or not, the forge shows the check as queued until it is said again.
        """
        for pull_request in wanted:
            self._doubts.add(pull_request, Doubt.CHECK)
        with self._lock:
            for pull_request, rerun in wanted.items():
                waiting = self._reruns.setdefault(pull_request, [])
                if len(waiting) < RERUNS_WAITING_MAX:
                    waiting.append(rerun)
        for pull_request in wanted:
            self._queue.add(pull_request)

    def read(self, pull_request: PullRequestKey) -> None:
        """Do what was asked for since the last reading. Raises TransientError for what has to be tried again."""
        projects = self._repositories.projects_at(pull_request[0])
        if not projects:
            return
        permissions = _Permissions(self._forge, pull_request[0])
        try:
            self._run_again(pull_request, permissions)
            self._read(pull_request, projects, permissions)
        except StalledError as error:
            # The next thing that happens on it is a reason to look again; nothing else is.
            _log.warning(
                "comments not read",
                pull_request=_shown(pull_request),
                reason=error.reason,
                message=error.message,
            )

    def _read(
        self,
        pull_request: PullRequestKey,
        projects: Sequence[Project],
        permissions: "_Permissions",
    ) -> None:
        now = self._clock.now()
        with self._lock:
            updated_at = self._updated_at.get(pull_request)
        read_until = self._store.comments_read_until(*pull_request)
        since = max(read_until or now - OBEYED_FOR, now - OBEYED_FOR)
        comments = self._forge.list_comments(*pull_request, since=since)
        done = self._done.setdefault(pull_request, set())
        done &= {each.id for each in comments}
        done |= answered_ids(self._instance, comments)
        for comment in sorted(comments, key=lambda each: (each.created_at, each.id)):
            if comment.id not in done and _is_new(comment, since):
                ahead = said_at(comment) - self._clock.now()
                if ahead > timedelta(0):
                    # What was asked for later than now does not count yet: the forge's clock is ahead of ours.
                    self._queue.add(pull_request, after_seconds=ahead.total_seconds())
                    return
                self._hear(pull_request, projects, comment, permissions)
            done.add(comment.id)
        seen = [each.updated_at for each in comments]
        until = max([*seen, updated_at or since, since])
        if timedelta(0) <= now - until < SETTLES_AFTER:
            until -= _TICK
            self._queue.add(pull_request, after_seconds=SETTLES_AFTER.total_seconds() + 1)
        if read_until is None or until > read_until:
            self._effects.perform(
                Effect.RECORD_COMMENTS_READ,
                _shown(pull_request),
                partial(self._store.record_comments_read, *pull_request, until),
            )
        self._settle(pull_request, updated_at, {c.id for c in comments if c.updated_at >= until})

    def _hear(
        self,
        pull_request: PullRequestKey,
        projects: Sequence[Project],
        comment: PostedComment,
        permissions: "_Permissions",
    ) -> None:
        if not is_addressed(comment.body):
            return
        if not permissions.of(comment.author).may_write:
            self._shake_head(pull_request, comment)
            return
        asked = parse(comment.body, [each.name for each in projects])
        if asked is None:
            return
        answer = self._commands.obey(pull_request, projects, asked, comment)
        _log.info(
            "command",
            pull_request=_shown(pull_request),
            command=str(asked),
            author=comment.author,
            answer=answer.reaction.value,
        )
        self._acknowledge(pull_request, comment, answer)

    def _shake_head(self, pull_request: PullRequestKey, comment: PostedComment) -> None:
        """All that somebody is told who may not write here."""
        now = self._clock.now()
        strangers = self._strangers
        if len(strangers) == STRANGERS_ANSWERED_MAX and now - strangers[0] < _HOUR:
            return
        strangers.append(now)
        self._acknowledge(pull_request, comment, Answer(Reaction.REFUSED))

    def _acknowledge(
        self, pull_request: PullRequestKey, comment: PostedComment, answer: Answer
    ) -> None:
        try:
            self._effects.perform(
                Effect.REACT,
                _shown(pull_request),
                partial(self._forge.react, *pull_request, comment.id, answer.reaction),
            )
            if answer.reply:
                marker = reply_marker(self._instance, comment.id)
                self._effects.perform(
                    Effect.REPLY,
                    _shown(pull_request),
                    partial(
                        self._forge.ensure_comment,
                        *pull_request,
                        marker=marker,
                        body=f"{marker}\n{answer.reply}\n",
                    ),
                )
        except StalledError as error:
            # A locked conversation, or a permission that is missing: what was asked for is done all the same.
            _log.warning(
                "not acknowledged",
                pull_request=_shown(pull_request),
                reason=error.reason,
                message=error.message,
            )

    def _run_again(self, pull_request: PullRequestKey, permissions: "_Permissions") -> None:
        with self._lock:
            waiting = list(self._reruns.get(pull_request, ()))
        if not waiting:
            return
        earliest = self._clock.now() - OBEYED_FOR
        pressed = {each.guid: each.received_at for each in self._store.unfinished_deliveries()}
        for rerun in waiting:
            at = pressed.get(rerun.delivery)
            if at is not None and at >= earliest and permissions.of(rerun.sender).may_write:
                refused = self._commands.redeploy(
                    rerun.projects, pull_request[1], actor=rerun.sender, at=at
                )
                _log.info("rerun", pull_request=_shown(pull_request), refused=list(refused))
        # No delivery tells the next process of it once more.
        self._doubts.keep(pull_request)
        self._finish(pull_request, [each for each in waiting if each.delivery in pressed])
        with self._lock:
            left = [each for each in self._reruns.pop(pull_request, ()) if each not in waiting]
            if left:
                self._reruns[pull_request] = left

    def _finish(self, pull_request: PullRequestKey, done: Sequence[Rerun]) -> None:
        """No later process does it once more: but for what the same button has still to do on other pull requests."""
        with self._lock:
            elsewhere = {
                each.delivery
                for place, waiting in self._reruns.items()
                for each in waiting
                if place != pull_request
            }
        for guid in sorted({each.delivery for each in done} - elsewhere):
            self._effects.perform(
                Effect.CLEAR_MARK, guid, partial(self._store.finish_delivery, guid)
            )

    def _settle(
        self, pull_request: PullRequestKey, updated_at: datetime | None, found_again: set[int]
    ) -> None:
        """Keep in mind what the next reading needs, and nothing else."""
        self._done[pull_request] = found_again
        if not found_again:
            del self._done[pull_request]
        with self._lock:
            if self._updated_at.get(pull_request) == updated_at:
                self._updated_at.pop(pull_request, None)


def _is_new(comment: PostedComment, since: datetime) -> bool:
    """Whether a person wrote it since then. An edited one counts once, and as it was when it was first read."""
    if comment.is_ours or comment.is_of_bot:
        return False
    was_edited = comment.updated_at != comment.created_at
    return comment.created_at > since or (comment.created_at == since and not was_edited)


class _Permissions:
    """What people may do in a repository, asked once for each."""

    def __init__(self, forge: Forge, repository: str) -> None:
        self._forge = forge
        self._repository = repository
        self._known: dict[str, Permission] = {}

    def of(self, login: str) -> Permission:
        if login not in self._known:
            self._known[login] = self._forge.permission_of(self._repository, login)
        return self._known[login]


def _shown(pull_request: PullRequestKey) -> str:
    return f"{pull_request[0]}#{pull_request[1]}"

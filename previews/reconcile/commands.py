"""Carries out what one comment asks for, once its author was found to be allowed to.

Everything that is to last is a wish with the comment's own time: the same comment read again asks for nothing new.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from previews.domain.commands import Command, Unknown, Verb, offered, valid_now
from previews.domain.conversation import PostedComment, Reaction
from previews.domain.forge_ports import Forge
from previews.domain.lifetime import MANAGER, VISITOR
from previews.domain.naming import short_sha
from previews.domain.ports import Clock, Cluster, Store
from previews.domain.preview import HeadSha, Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.replies import (
    LOG_LINES_MAX,
    PREVIEWS_SHOWN_MAX,
    Logs,
    help_text,
    logs_text,
    refusal,
)
from previews.errors import ActionRefusedError, PreviewsError, StalledError, TransientError
from previews.reconcile.actions import Actions
from previews.reconcile.published import PullRequestKey

READ_WITHIN = timedelta(minutes=2)
"""A command may come before its pull request was read: it waits for that, but not longer."""
_WISHES = {
    Verb.PREVIEW: "asked",
    Verb.APPROVE: "approval",
    Verb.REDEPLOY: "redeploy",
    Verb.EXTEND: "extension",
    Verb.PIN: "pin",
    Verb.UNPIN: "pin",
    Verb.SLEEP: "sleep",
    Verb.WAKE: "wake",
    Verb.RESET_DATABASE: "reset",
    Verb.REMOVE: "removal",
}
"""The field of Wishes that keeps each of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command is acknowledged."""

    reaction: Reaction
    reply: str = ""
    """Markdown; empty when there is nothing more to say."""


class _Act(Protocol):
    """An action that needs nothing but a preview, a person and a time."""

    def __call__(self, key: PreviewKey, *, actor: str, at: datetime | None = None) -> None: ...


class Commands:
    """Obeys people who may write. Raises TransientError for what has to be tried again."""

    def __init__(
        self,
        *,
        forge: Forge,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        actions: Actions,
        mark: Callable[[Sequence[PreviewKey]], None],
    ) -> None:
        """`mark` has pull requests read of which nothing is known yet."""
        self._forge = forge
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._actions = actions
        self._mark = mark
        self._simple: dict[Verb, _Act] = {
            Verb.PREVIEW: actions.ask,
            Verb.REDEPLOY: actions.redeploy,
            Verb.UNPIN: actions.unpin,
            Verb.SLEEP: actions.sleep,
            Verb.WAKE: actions.wake,
            Verb.RESET_DATABASE: actions.reset_database,
            Verb.REMOVE: actions.remove,
        }

    def obey(
        self,
        pull_request: PullRequestKey,
        projects: Sequence[Project],
        asked: Command | Unknown,
        comment: PostedComment,
    ) -> Answer:
        """Do what a comment asks for. `projects` are those of its repository."""
        number = pull_request[1]
        if isinstance(asked, Unknown):
            return Answer(Reaction.REFUSED, self._help(projects, number, asked.why))
        if asked.verb is Verb.HELP:
            return Answer(Reaction.DONE, self._help(projects, number))
        named = [each for each in projects if asked.project in {"", each.name}]
        able = [each for each in named if asked.verb in offered(each)]
        if not able:
            why = f"there is nothing here that {asked} could be done with"
            return Answer(Reaction.REFUSED, self._help(projects, number, why))
        if asked.verb is Verb.LOGS:
            return self._logs(able, number)
        return self._wish(pull_request, able, asked, comment)

    def _wish(
        self,
        pull_request: PullRequestKey,
        projects: Sequence[Project],
        asked: Command,
        comment: PostedComment,
    ) -> Answer:
        refusals: dict[PreviewKey, str] = {}
        chosen = self._chosen(projects, pull_request[1], asked.verb)
        for project in chosen:
            key = PreviewKey(project.name, pull_request[1])
            try:
                self._keep(pull_request, project, key, asked, comment)
            except StalledError as error:
                refusals[key] = error.message
        are_all = len(refusals) == len(chosen)
        return Answer(
            Reaction.REFUSED if are_all else Reaction.DONE,
            refusal(str(asked), refusals, are_all=are_all) if refusals else "",
        )

    def _chosen(self, projects: Sequence[Project], number: int, verb: Verb) -> Sequence[Project]:
        """Those that it makes sense for; if there are none, all of them, so that each says why."""
        if verb is Verb.PREVIEW:
            return projects
        sensible = [
            project
            for project in projects
            if (record := self._store.load(PreviewKey(project.name, number))) is not None
            and verb in valid_now(project, record)
        ]
        return sensible or projects

    def _keep(
        self,
        pull_request: PullRequestKey,
        project: Project,
        key: PreviewKey,
        asked: Command,
        comment: PostedComment,
    ) -> None:
        at, verb = said_at(comment), asked.verb
        if self._actions.is_kept(key, _WISHES[verb], at):
            # Its answer may have been lost, or the manager killed, before anybody heard of it.
            self._actions.look(key)
            return
        record = self._store.load(key)
        if record is None:
            self._mark([key])
        if record is None or record.pull_request is None:
            self._wait_for_reading(key, verb, at)
        elif record.phase is Phase.BLOCKED and verb not in valid_now(project, record):
            raise ActionRefusedError(record.reason, f"there is no preview: {record.message}")
        self._act(pull_request, key, asked, actor=_actor(comment.author), at=at)

    def _wait_for_reading(self, key: PreviewKey, verb: Verb, at: datetime) -> None:
        """That there be a preview can be asked for before anything is known; nothing else can."""
        if verb is Verb.PREVIEW:
            return
        if self._clock.now() - at < READ_WITHIN:
            raise TransientError("NotReadYet", f"the pull request of {key} was not read yet")

    def _act(
        self,
        pull_request: PullRequestKey,
        key: PreviewKey,
        asked: Command,
        *,
        actor: str,
        at: datetime,
    ) -> None:
        if asked.verb in self._simple:
            self._simple[asked.verb](key, actor=actor, at=at)
        elif asked.verb is Verb.APPROVE:
            self._approve(pull_request, key, asked.commit, actor=actor, at=at)
        elif asked.verb is Verb.EXTEND:
            self._actions.extend(key, asked.length or timedelta(), actor=actor, at=at)
        else:
            self._actions.pin(key, asked.length, actor=actor, at=at)

    def _approve(
        self,
        pull_request: PullRequestKey,
        key: PreviewKey,
        commit: HeadSha | None,
        *,
        actor: str,
        at: datetime,
    ) -> None:
        """What the forge says now counts: a push that nobody has heard of yet voids it as well."""
        fetched = self._forge.fetch_pull_request(*pull_request)
        if fetched is None:
            raise ActionRefusedError("PullRequestNotFound", f"there is no pull request of {key}")
        if commit is None:
            self._actions.approve_unnamed(key, fetched.head_sha, actor=actor, at=at)
            return
        if commit == fetched.head_sha:
            self._wait_for_reading_of(key, commit, at)
        self._actions.approve(key, commit, actor=actor, at=at)

    def _wait_for_reading_of(self, key: PreviewKey, commit: HeadSha, at: datetime) -> None:
        """Whoever names a commit may have been quicker than the webhook of its push."""
        record = self._store.load(key)
        known = record.pull_request if record else None
        if known is not None and known.head_sha != commit and self._clock.now() - at < READ_WITHIN:
            self._mark([key])
            raise TransientError("NotReadYet", f"{short_sha(commit)} of {key} was not read yet")

    def redeploy(
        self, projects: Collection[str], number: int, *, actor: str, at: datetime
    ) -> Sequence[str]:
        """What the button beside a check asks for. Says what was refused, and why."""
        refusals = []
        for key in (PreviewKey(project, number) for project in projects):
            try:
                self._actions.redeploy(key, actor=_actor(actor), at=at)
            except ActionRefusedError as error:
                refusals.append(error.message)
        return refusals

    def _help(self, projects: Sequence[Project], number: int, why: str = "") -> str:
        valid = {}
        for project in projects:
            record = self._store.load(PreviewKey(project.name, number))
            valid[project.name] = valid_now(project, record) if record else (Verb.HELP,)
        return help_text(valid, why=why)

    def _logs(self, projects: Sequence[Project], number: int) -> Answer:
        found: list[Logs] = []
        for project in projects:
            record = self._store.load(PreviewKey(project.name, number))
            if record is not None and record.pull_request is not None:
                is_asked = len(found) < PREVIEWS_SHOWN_MAX and not record.is_gone
                found.append(Logs(record, self._last_words(project, record) if is_asked else ""))
        if not found:
            return Answer(Reaction.REFUSED, "Nothing is known of a preview here yet.")
        return Answer(Reaction.DONE, logs_text(found))

    def _last_words(self, project: Project, record: PreviewRecord) -> str:
        """Of the container that crashed, or else of a migration that failed; read now."""
        namespace = project.names(record.key.number).namespace
        try:
            words = self._cluster.workload(namespace).last_words
            if not words and project.database is not None:
                words = self._cluster.job_log(namespace, LOG_LINES_MAX)
        except PreviewsError as error:
            return f"The cluster cannot be asked at the moment: {error.message}"
        return words


def said_at(comment: PostedComment) -> datetime:
    """To the second as the forge has it, and then in the order in which comments of one second were written."""
    return comment.created_at + timedelta(microseconds=comment.id % 1000)


def _actor(login: str) -> str:
    """A login may be one of the names that stand for no person."""
    return f"{login} (a person)" if login.casefold() in {MANAGER, VISITOR} else login

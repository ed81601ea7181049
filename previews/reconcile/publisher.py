"""Publishes what a pull request should say: a projection of the records, written when it changed.

On threads of its own, so that a slow or limiting forge never delays a deployment.
"""

import hashlib
from collections.abc import Callable

from previews.domain.messages import Subject, feedback, superseded
from previews.domain.ports import Forge, Store
from previews.domain.preview import HeadSha, Phase
from previews.domain.record import CommitStatus, PreviewRecord, StatusState
from previews.reconcile.effects import Effect, Effects

PullRequestKey = tuple[str, int]
"""Repository and number: all projects' previews of a pull request share one comment."""


class Publisher:
    """Brings one pull request's statuses and comment up to date."""

    def __init__(
        self,
        *,
        instance: str,
        forge: Forge,
        store: Store,
        effects: Effects,
        url_of: Callable[[PreviewRecord], str],
    ) -> None:
        self._instance = instance
        self._forge = forge
        self._store = store
        self._effects = effects
        self._url_of = url_of

    def publish(self, pull_request: PullRequestKey) -> None:
        """Write what differs from what was published last. Raises what the forge raises."""
        repository, number = pull_request
        records = self._store.load_pull_request(repository, number)
        wanted = feedback(
            self._instance, [Subject(record, self._url_of(record)) for record in records]
        )
        published = self._store.published(repository, number)
        if wanted is None or (not published and all(_is_over(record) for record in records)):
            return
        for head_sha, status in wanted.statuses:
            known = published.get(f"status:{status.context}", "")
            self._publish_status(pull_request, head_sha, status, known)
        digest = hashlib.sha256(wanted.comment.encode()).hexdigest()
        if published.get("comment") != digest:
            if published.get("comment") != "":
                # From here on it is not known what it says, until an answer comes: what was said before counts no more.
                self._remember(repository, number, "comment", "")
            self._effects.perform(
                Effect.ENSURE_COMMENT,
                f"{repository}#{number}",
                lambda: self._forge.ensure_comment(
                    repository, number, marker=wanted.comment_marker, body=wanted.comment
                ),
            )
            self._remember(repository, number, "comment", digest)

    def _publish_status(
        self, pull_request: PullRequestKey, head_sha: HeadSha, status: CommitStatus, known: str
    ) -> None:
        """What was said of an earlier commit ends as well: no pending status stays for ever."""
        repository, number = pull_request
        target, digest = f"status:{status.context}", _digest(head_sha, status)
        if known == digest:
            return
        said_of, _, rest = known.partition(" ")
        if said_of != head_sha and rest.startswith(StatusState.PENDING):
            self._set_status(pull_request, HeadSha(said_of), superseded(status, head_sha))
        # From here on it is not known what it says, and it may be pending, until an answer comes: what was said before
        # counts no more, also if it should be said again.
        unsure = f"{head_sha} {StatusState.PENDING}"
        if known != unsure:
            self._remember(repository, number, target, unsure)
        self._set_status(pull_request, head_sha, status)
        self._remember(repository, number, target, digest)

    def _set_status(
        self, pull_request: PullRequestKey, head_sha: HeadSha, status: CommitStatus
    ) -> None:
        repository, number = pull_request
        self._effects.perform(
            Effect.SET_STATUS,
            f"{repository}#{number}",
            lambda: self._forge.set_commit_status(repository, head_sha, status),
        )

    def _remember(self, repository: str, number: int, target: str, digest: str) -> None:
        self._effects.perform(
            Effect.RECORD_PUBLISHED,
            f"{repository}#{number}",
            lambda: self._store.record_published(repository, number, target, digest),
        )


def _is_over(record: PreviewRecord) -> bool:
    """Whether a pull request closed without ever having had a preview: then there is nothing to say."""
    return record.phase is Phase.REMOVED


def _digest(head_sha: str, status: CommitStatus) -> str:
    text = f"{status.description}\n{status.target_url}"
    return f"{head_sha} {status.state} {hashlib.sha256(text.encode()).hexdigest()}"

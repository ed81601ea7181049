"""Publishes what a pull request should say: a projection of the records, written when it changed.

On threads of its own, so that a slow or limiting forge never delays a deployment.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

from previews.domain.messages import Subject, feedback
from previews.domain.ports import Forge, Store
from previews.domain.preview import Phase
from previews.domain.record import CommitStatus, PreviewRecord
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
            target, digest = f"status:{status.context}", _digest(head_sha, status)
            if published.get(target) != digest:
                self._intend(repository, number, target, published)
                self._effects.perform(
                    Effect.SET_STATUS,
                    f"{repository}#{number}",
                    partial(self._forge.set_commit_status, repository, head_sha, status),
                )
                self._remember(repository, number, target, digest)
        digest = hashlib.sha256(wanted.comment.encode()).hexdigest()
        if published.get("comment") != digest:
            self._intend(repository, number, "comment", published)
            self._effects.perform(
                Effect.ENSURE_COMMENT,
                f"{repository}#{number}",
                lambda: self._forge.ensure_comment(
                    repository, number, marker=wanted.comment_marker, body=wanted.comment
                ),
            )
            self._remember(repository, number, "comment", digest)

    def _intend(
        self, repository: str, number: int, target: str, published: Mapping[str, str]
    ) -> None:
        """Before the first word of a kind: whatever a crash cuts short, it is known that something may have been said.

        Otherwise a pending status could stay for ever on a pull request that closed meanwhile.
        """
        if target not in published:
            self._remember(repository, number, target, "")

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
    text = f"{head_sha}\n{status.state}\n{status.description}\n{status.target_url}"
    return hashlib.sha256(text.encode()).hexdigest()

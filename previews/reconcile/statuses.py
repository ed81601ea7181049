"""Commit statuses: what is said of a preview beside the commit, where there are no check runs."""

import hashlib

from previews.domain.forge_ports import Forge
from previews.domain.preview import HeadSha
from previews.domain.record import CommitStatus, StatusState
from previews.domain.status_line import commit_status, superseded
from previews.domain.subject import Subject
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.former_heads import FormerHeads
from previews.reconcile.published import Showing


class Statuses:
    """Says one preview's status on its head, and ends what was said of an earlier one."""

    def __init__(self, forge: Forge, effects: Effects, former: FormerHeads) -> None:
        self._forge = forge
        self._effects = effects
        self._former = former

    def publish(self, showing: Showing, subject: Subject) -> None:
        """Set it if it is not set so already."""
        pull_request, status = subject.record.pull_request, commit_status(subject)
        if pull_request is None:
            return
        head_sha, target = pull_request.head_sha, _target(status)
        known, digest = showing.published.recall(target), _digest(head_sha, status)
        said_of, _, rest = known.partition(" ")
        was_pending = rest.startswith(StatusState.PENDING)
        if known == digest or (subject.never_was and not was_pending):
            return
        if said_of != head_sha and was_pending:
            self._former.add(showing.published, target, said_of)
        # It may be pending from here on, until an answer comes.
        showing.published.note(target, f"{head_sha} {StatusState.PENDING}")
        self._set(showing, head_sha, status)
        showing.published.note(target, digest)

    def end_former(self, showing: Showing, subject: Subject) -> None:
        """No status of a commit that was overtaken stays pending."""
        pull_request, status = subject.record.pull_request, commit_status(subject)
        if pull_request is None:
            return
        head_sha = pull_request.head_sha
        ended = superseded(status, head_sha)
        self._former.end(
            showing.published,
            _target(status),
            head_sha,
            lambda former: self._set(showing, former.head_sha, ended),
        )

    def doubt(self, showing: Showing, subject: Subject) -> None:
        """Nobody else can change a status."""

    def page_of(self, showing: Showing, subject: Subject) -> str:  # noqa: ARG002 - see BesideCommit
        """A line has no page of its own."""
        return ""

    def _set(self, showing: Showing, head_sha: HeadSha, status: CommitStatus) -> None:
        self._effects.perform(
            Effect.SET_STATUS,
            showing,
            lambda: self._forge.set_commit_status(showing.repository, head_sha, status),
        )


def _target(status: CommitStatus) -> str:
    return f"status:{status.context}"


def _digest(head_sha: str, status: CommitStatus) -> str:
    text = f"{status.description}\n{status.target_url}"
    return f"{head_sha} {status.state} {hashlib.sha256(text.encode()).hexdigest()}"

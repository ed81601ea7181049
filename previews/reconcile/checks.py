"""Check runs: what is said of a preview beside the commit under a GitHub App, with its phases and last words."""

import hashlib
from dataclasses import dataclass

from previews.domain.check_run import check_of, superseded_check
from previews.domain.feedback import Check, CheckState
from previews.domain.forge_ports import Checks
from previews.domain.status_line import status_context
from previews.domain.subject import Subject
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.former_heads import FormerHead, FormerHeads
from previews.reconcile.published import Showing

_UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class _Said:
    """Of the newest commit that something was said of."""

    head_sha: str = ""
    state: str = ""
    digest: str = _UNSURE
    id: int | None = None

    def __str__(self) -> str:
        return f"{self.head_sha} {self.state} {self.digest} {self.id or ''}".rstrip()


class CheckRuns:
    """Says one preview's check run on its head, and ends one of an earlier commit."""

    def __init__(
        self, checks: Checks, effects: Effects, instance: str, former: FormerHeads
    ) -> None:
        self._checks = checks
        self._effects = effects
        self._instance = instance
        self._former = former

    def publish(self, showing: Showing, subject: Subject) -> None:
        """Create it, or bring it up to date."""
        record = subject.record
        if record.pull_request is None:
            return
        head_sha = record.pull_request.head_sha
        check = check_of(self._instance, subject, head_sha)
        target = _target(subject)
        known, digest = _read(showing.published.recall(target)), _digest(check)
        goes_on = known.state in {CheckState.QUEUED, CheckState.IN_PROGRESS}
        if subject.never_was and not goes_on:
            return
        if known.head_sha == head_sha:
            if (known.state, known.digest) == (check.state, digest):
                return
        else:
            if goes_on:
                self._former.add(showing.published, target, known.head_sha, known.id)
            known = _Said()
        showing.published.note(target, str(_unsure(head_sha, known.id)))
        check_id = self._ensure(showing, check, known.id)
        showing.published.note(target, str(_Said(head_sha, check.state, digest, check_id)))

    def end_former(self, showing: Showing, subject: Subject) -> None:
        """No check run of a commit that was overtaken goes on."""
        record = subject.record
        if record.pull_request is None:
            return
        head_sha = record.pull_request.head_sha

        def say(former: FormerHead) -> None:
            ended = superseded_check(self._instance, record, former.head_sha, head_sha)
            self._ensure(showing, ended, former.id)

        self._former.end(showing.published, _target(subject), head_sha, say)

    def doubt(self, showing: Showing, subject: Subject) -> None:
        """Somebody pressed its button, and the forge shows it as queued: it is said again, or ended."""
        target = _target(subject)
        known = _read(showing.published.recall(target))
        if known.head_sha:
            showing.published.note(target, str(_unsure(known.head_sha, known.id)))

    def page_of(self, showing: Showing, subject: Subject) -> str:
        """Empty until there is one on the present head."""
        pull_request = subject.record.pull_request
        known = _read(showing.published.recall(_target(subject)))
        if pull_request is None or known.id is None or known.head_sha != pull_request.head_sha:
            return ""
        return self._checks.page_of(pull_request, known.id)

    def _ensure(self, showing: Showing, check: Check, known_id: int | None) -> int:
        return self._effects.perform(
            Effect.SET_CHECK,
            showing,
            lambda: self._checks.ensure_check(showing.repository, check, known_id),
        )


def _target(subject: Subject) -> str:
    return f"check:{status_context(subject.record.key.project)}"


def _unsure(head_sha: str, known_id: int | None) -> _Said:
    """It may go on from here on, until an answer comes."""
    return _Said(head_sha, CheckState.IN_PROGRESS, id=known_id)


def _read(text: str) -> _Said:
    match text.split():
        case [head_sha, state, digest, known_id]:
            return _Said(head_sha, state, digest, int(known_id))
        case [head_sha, state, digest]:
            return _Said(head_sha, state, digest)
        case _:
            return _Said()


def _digest(check: Check) -> str:
    text = f"{check.title}\n{check.summary}\n{check.text}\n{check.details_url}"
    return hashlib.sha256(text.encode()).hexdigest()

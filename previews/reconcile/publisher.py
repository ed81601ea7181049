"""Publishes what a pull request should say: a projection of the records, written when it changed.

On threads of its own, so that a slow or limiting forge never delays a deployment.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from previews.domain.forge_ports import Forge
from previews.domain.ports import Clock, Store
from previews.domain.record import PreviewRecord
from previews.domain.subject import Subject
from previews.errors import PreviewsError, TransientError
from previews.reconcile.checks import CheckRuns
from previews.reconcile.doubts import Doubts
from previews.reconcile.effects import Effects
from previews.reconcile.former_heads import FormerHeads
from previews.reconcile.patience import PUBLISH_AFTER_SECONDS, Patience
from previews.reconcile.published import Doubt, Published, PullRequestKey, Showing
from previews.reconcile.statuses import Statuses
from previews.reconcile.sticky_comment import StickyComment


class Target(Protocol):
    """One way in which a preview is shown, beside the comment that it shares with others."""

    def publish(self, showing: Showing, subject: Subject) -> None:
        """Write what differs from what was published last. Raises what the forge raises."""
        ...


class BesideCommit(Target, Protocol):
    """What every preview has, whoever reads it: a commit status or a check run."""

    def end_former(self, showing: Showing, subject: Subject) -> None:
        """End what goes on of commits that were overtaken. Raises what the forge raises."""
        ...

    def doubt(self, showing: Showing, subject: Subject) -> None:
        """Note what was said as unsure: another hand may have changed it."""
        ...

    def page_of(self, showing: Showing, subject: Subject) -> str:
        """Where people read more of what is said there; empty if nowhere."""
        ...


class Publisher:
    """Brings all that is shown on one pull request up to date."""

    def __init__(
        self,
        *,
        instance: str,
        forge: Forge,
        store: Store,
        effects: Effects,
        clock: Clock,
        doubts: Doubts,
        subject_of: Callable[[PreviewRecord], Subject],
        patience: Patience,
        look_again: Callable[[PullRequestKey, float], None],
        further: Sequence[Target] = (),
    ) -> None:
        """`further`: what is shown of a preview after its status or check run."""
        self._store = store
        self._effects = effects
        self._subject_of = subject_of
        self._patience = patience
        self._look_again = look_again
        former = FormerHeads(clock)
        self._beside: BesideCommit = (
            CheckRuns(forge.checks, effects, instance, former)
            if forge.checks
            else Statuses(forge, effects, former)
        )
        self._further = further
        self._comment = StickyComment(forge, effects, instance)
        self._doubts = doubts

    def doubt(self, pull_request: PullRequestKey, what: Doubt) -> None:
        """Another hand may have changed it: it is looked at when this is published next. Safe from any thread."""
        self._doubts.add(pull_request, what)

    def publish(self, pull_request: PullRequestKey) -> None:
        """Write what differs from what was published last.

        Each target by itself: what one cannot say holds up no other. Raises the first error in the end, one that may
        pass by itself before one that will not.
        """
        showing = self._showing(pull_request)
        self._note_doubts(pull_request, showing)
        left = {
            each.record.key: self._patience.seconds_left(each.record.key)
            for each in showing.subjects
        }
        errors: list[PreviewsError] = []

        def attempt(publish: Callable[[], None]) -> None:
            try:
                publish()
            except PreviewsError as error:
                errors.append(error)

        for subject in showing.subjects:
            if not left[subject.record.key]:
                attempt(partial(self._beside.publish, showing, subject))
                attempt(partial(self._beside.end_former, showing, subject))
                for target in self._further:
                    attempt(partial(target.publish, showing, self._with_logs(showing, subject)))
                self._patience.told(subject.record.key)
        waits = [seconds for seconds in left.values() if seconds]
        # One comment for all: in a moment it can say more.
        if not any(seconds <= PUBLISH_AFTER_SECONDS for seconds in waits):
            rows = [self._with_logs(showing, subject) for subject in showing.subjects]
            attempt(partial(self._comment.publish, showing, rows))
        if waits:
            self._look_again(pull_request, min(waits))
        if errors:
            raise min(errors, key=lambda error: not isinstance(error, TransientError))

    def _showing(self, pull_request: PullRequestKey) -> Showing:
        repository, number = pull_request
        records = self._store.load_pull_request(repository, number)
        return Showing(
            repository=repository,
            number=number,
            subjects=[self._subject_of(record) for record in records if record.pull_request],
            published=Published(self._store, self._effects, pull_request),
        )

    def _note_doubts(self, pull_request: PullRequestKey, showing: Showing) -> None:
        """Before anything is written: what waits or fails now is said again all the same, by whatever process."""
        doubts = self._doubts.of(pull_request, showing.published)
        if Doubt.CHECK in doubts:
            for subject in showing.subjects:
                self._beside.doubt(showing, subject)
        if Doubt.COMMENT in doubts:
            self._comment.doubt(showing.published)
        self._doubts.settle(pull_request, showing.published, doubts)

    def _with_logs(self, showing: Showing, subject: Subject) -> Subject:
        """Where nothing else shows its logs, its check run does."""
        page = subject.logs_url or self._beside.page_of(showing, subject)
        return replace(subject, logs_url=page)

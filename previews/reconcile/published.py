"""What was said last on one pull request, by target, so that nothing is said twice and what was said is found again.

Before something is said it is noted that nobody knows how it stands: if the answer is lost, the target finds its own
earlier work, and what was said before counts no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from previews.domain.ports import Store
from previews.domain.subject import Subject
from previews.reconcile.effects import Effect, Effects

PullRequestKey = tuple[str, int]
"""Repository and number: all projects' previews of a pull request share one comment."""


class Doubt(StrEnum):
    """What another hand may have changed, so that it is looked at although nothing new is to be said."""

    COMMENT = "comment"
    CHECK = "check"

    @property
    def target(self) -> str:
        """Under which it is kept for the next process: beside what is said, so that no answer writes over it."""
        return f"doubt:{self.value}"


class Published:
    """The memory of one pull request, for one thread."""

    def __init__(self, store: Store, effects: Effects, pull_request: PullRequestKey) -> None:
        self._store = store
        self._effects = effects
        self._pull_request = pull_request
        self._known = dict(store.published(*pull_request))

    def recall(self, target: str) -> str:
        """What was noted of a target last; empty if nothing was."""
        return self._known.get(target, "")

    def has(self, target: str) -> bool:
        return target in self._known

    def note(self, target: str, what: str) -> None:
        """Note it for the next process as well."""
        if self._known.get(target) == what:
            return
        repository, number = self._pull_request
        self._effects.perform(
            Effect.RECORD_PUBLISHED,
            f"{repository}#{number}",
            lambda: self._store.record_published(repository, number, target, what),
        )
        self._known[target] = what

    def doubts(self) -> frozenset[Doubt]:
        """Those that were kept, and not settled yet."""
        return frozenset(each for each in Doubt if self.recall(each.target))

    def doubt(self, what: Doubt) -> None:
        """Keep a doubt, where anything was said."""
        if self._known:
            self.note(what.target, "in doubt")

    def settle(self, what: Doubt) -> None:
        """Keep it no more."""
        if self.has(what.target):
            self.note(what.target, "")


@dataclass(frozen=True, slots=True)
class Showing:
    """One pull request, and all that is shown of its previews."""

    repository: str
    number: int
    subjects: Sequence[Subject]
    """By project; each has a pull request."""
    published: Published

    def __str__(self) -> str:
        return f"{self.repository}#{self.number}"

"""What a soak wants of a forge, whichever it is: people at it, how it fails, and what it shows in the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from previews.domain.preview import HeadSha
from tests.soak.faults import Away, Fault
from tests.soak.things import Thing


class ForgeRefusedError(Exception):
    """The forge answered, and did not do it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One pull request as it is shown at the forge."""

    problem: str
    """Empty when the last that is said beside its head is that the preview was removed, and nothing else is wrong."""
    comments: int
    """The manager's own, which it keeps up to date."""
    asked: int
    """Questions to the manager."""
    answered: int
    """Its replies."""
    superseded_pending: int
    """Commits before the last of which is still said that something goes on."""
    repeated: tuple[str, ...] = ()
    """What else is there twice."""

    def duplicates(self, number: int) -> Iterator[str]:
        """All that is there more often than it may be."""
        if self.comments > 1:
            yield f"{self.comments} comments on {number}"
        if self.answered > self.asked:
            yield f"{self.answered} answers to {self.asked} questions on {number}"
        yield from self.repeated


class SoakForge(Protocol):
    """One repository at a forge. Safe from any thread, and patient: each call is made until it is known to be done."""

    kinds: Sequence[str]
    """Of what previews may leave behind there, besides statuses and comments, which stay."""

    def prepare(self) -> None:
        """All that comes before the manager's start."""
        ...

    def connect(self, url: str) -> None:
        """From now on this address is told of whatever happens."""
        ...

    def outages(self) -> Mapping[Fault, Away]:
        """How it fails, beside what fails everywhere."""
        ...

    # What people do.

    def first_commit(self, life: int) -> HeadSha:
        """What the branch of a life points to before its pull request is opened."""
        ...

    def push(self, life: int, index: int) -> HeadSha:
        """Have a life's branch point to its next commit."""
        ...

    def open_pull_request(self, life: int) -> int:
        """Returns its number."""
        ...

    def set_open(self, number: int, *, is_open: bool) -> None: ...

    def say(self, number: int, body: str) -> None:
        """Perhaps twice, if an answer was lost."""
        ...

    def open_numbers(self) -> list[int]: ...

    # What there is.

    def take(self) -> list[Thing]:
        """Everything of previews that is there now, but for statuses and comments."""
        ...

    def forget_project(self) -> bool:
        """From now on nothing of the project may be left either. Says whether it ever has anything there."""
        ...

    def shows_live(self, number: int, head_sha: HeadSha) -> bool:
        """Whether it shows at once, where that costs nothing, that this commit's preview is live."""
        ...

    def check(self, number: int, heads: Sequence[HeadSha], *, was_live: bool) -> Checked:
        """What is shown on a closed pull request that had these heads."""
        ...

    def wrong(self) -> list[str]:
        """What was seen on the way that may not be."""
        ...

    def figures(self) -> Mapping[str, float]:
        """What is worth a figure of a run, by its name."""
        ...

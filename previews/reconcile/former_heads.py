"""Commits that are no head any more, and of which something is still said that has to end.

They are noted until it has ended, beside what is said of the head: that waits for none of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from previews.domain.ports import Clock
from previews.domain.preview import HeadSha
from previews.errors import StalledError, TransientError
from previews.reconcile.published import Published

TRIED_FOR = timedelta(hours=6)
"""Some forges answer for a commit that they have lost as if they were out of order, and would do so for ever."""

_log = structlog.get_logger("previews.former_heads")


@dataclass(frozen=True, slots=True)
class FormerHead:
    head_sha: HeadSha
    id: int | None
    """Of what was said there, where the forge gave it one and it is known."""
    since: datetime

    def __str__(self) -> str:
        return f"{self.head_sha}:{self.id or ''}:{int(self.since.timestamp())}"


class FormerHeads:
    """Of one way to say how a preview stands, by target."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(
        self, published: Published, target: str, head_sha: str, known_id: int | None = None
    ) -> None:
        """It is overtaken. To be noted before anything is noted of the new head."""
        there = _read(published, target)
        if head_sha not in {each.head_sha for each in there}:
            overtaken = FormerHead(HeadSha(head_sha), known_id, self._clock.now())
            _note(published, target, [*there, overtaken])

    def end(
        self,
        published: Published,
        target: str,
        head_sha: HeadSha,
        say: Callable[[FormerHead], object],
    ) -> None:
        """Say of each that it was overtaken by this head. Raises in the end what may pass by itself."""
        there = _read(published, target)
        left: list[FormerHead] = []
        errors: list[TransientError] = []
        for each in there:
            if each.head_sha == head_sha:
                # It is the head again.
                continue
            try:
                say(each)
            except StalledError:
                # The forge knows that commit no more: then nobody sees what was said of it either.
                continue
            except TransientError as error:
                if self._clock.now() - each.since < TRIED_FOR:
                    left.append(each)
                    errors.append(error)
                else:
                    _log.warning("left as it was", target=target, former=each.head_sha)
        if there:
            _note(published, target, left)
        if errors:
            raise errors[0]


def _row(target: str) -> str:
    return f"former:{target}"


def _read(published: Published, target: str) -> list[FormerHead]:
    return [_parse(each) for each in published.recall(_row(target)).split()]


def _note(published: Published, target: str, former: Sequence[FormerHead]) -> None:
    published.note(_row(target), " ".join(map(str, former)))


def _parse(text: str) -> FormerHead:
    head_sha, known_id, since = text.split(":")
    return FormerHead(
        HeadSha(head_sha),
        int(known_id) if known_id else None,
        datetime.fromtimestamp(int(since), UTC),
    )

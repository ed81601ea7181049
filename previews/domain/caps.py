"""How many previews there may be, and whose turn it is when that is too few. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from previews.domain.preview import PreviewKey

TOLD_EXACTLY = 5
"""Of a longer queue only the first few are told their very place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits of one project, or of the whole server. None: no limit."""

    previews: int | None = None
    """Awake and asleep."""
    per_author: int | None = None
    """Of one author's pull requests."""
    awake: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A preview that has its place: it is there, asleep or awake."""

    key: PreviewKey
    author: str
    is_awake: bool
    is_pinned: bool
    last_use: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A preview that asks for a place, or to be awake."""

    key: PreviewKey
    author: str
    since: datetime
    is_there: bool
    """It sleeps, and asks to be awake."""


@dataclass(frozen=True, slots=True)
class Place:
    """In a queue."""

    number: int
    """1 is next."""
    full: str
    """What there is no room in, in words for people."""
    to_evict: PreviewKey | None = None
    """Asleep, not pinned, and the longest unused of those whose going would make room."""

    @property
    def standing(self) -> str:
        """The place in words that stay true for longer the further back it is.

        Each change of them is written to the pull request: one free place is news for few of a long queue.
        """
        if self.number <= TOLD_EXACTLY:
            return f"number {self.number} in the queue"
        steps = (step * 10**power for power in itertools.count(1) for step in (1, 2, 5))
        rounded = next(step for step in steps if step >= self.number)
        return f"among the first {rounded} in the queue"


@dataclass(frozen=True, slots=True)
class _Room:
    """One limit as it concerns one preview."""

    name: str
    limit: int
    counts_awake: bool


def place_of(
    asking: Waiting,
    queue: Iterable[Waiting],
    holders: Iterable[Holder],
    server: Caps,
    projects: Mapping[str, Caps],
) -> Place | None:
    """Where `asking` stands; None when it is its turn. First come, first served, within each limit.

    Whoever waits for one limit holds up nobody who is only under others.
    """
    taken: Counter[str] = Counter()
    there = list(holders)
    for holder in there:
        for room in _rooms(holder.key, holder.author, server, projects):
            taken[room.name] += holder.is_awake or not room.counts_awake
    ahead: Counter[str] = Counter()
    for each in sorted({*queue, asking}, key=lambda waiting: (waiting.since, waiting.key)):
        rooms = _wanted(each, server, projects)
        full = next((room for room in rooms if taken[room.name] >= room.limit), None)
        if full is None:
            taken.update(room.name for room in rooms)
        else:
            ahead[full.name] += 1
        if each == asking:
            if full is None:
                return None
            return Place(
                ahead[full.name], full.name, _to_evict(full, ahead, there, server, projects)
            )
    raise AssertionError("whoever asks is in the queue")


def _wanted(waiting: Waiting, server: Caps, projects: Mapping[str, Caps]) -> list[_Room]:
    rooms = _rooms(waiting.key, waiting.author, server, projects)
    return [room for room in rooms if room.counts_awake or not waiting.is_there]


def _rooms(
    key: PreviewKey, author: str, server: Caps, projects: Mapping[str, Caps]
) -> Iterator[_Room]:
    for where, caps in (
        (f"project {key.project}", projects.get(key.project, Caps())),
        ("this server", server),
    ):
        if caps.previews is not None:
            yield _Room(f"{caps.previews} previews of {where}", caps.previews, counts_awake=False)
        if caps.per_author is not None:
            name = f"{caps.per_author} previews of {author} in {where}"
            yield _Room(name, caps.per_author, counts_awake=False)
        if caps.awake is not None:
            yield _Room(f"{caps.awake} awake previews of {where}", caps.awake, counts_awake=True)


def _to_evict(
    full: _Room,
    ahead: Counter[str],
    holders: list[Holder],
    server: Caps,
    projects: Mapping[str, Caps],
) -> PreviewKey | None:
    """Only the first of a queue has somebody make room."""
    if full.counts_awake or ahead[full.name] > 1:
        return None
    fitting = [
        holder
        for holder in holders
        if not holder.is_awake
        and not holder.is_pinned
        and full in _rooms(holder.key, holder.author, server, projects)
    ]
    return min(fitting, key=lambda holder: holder.last_use).key if fitting else None

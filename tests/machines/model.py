"""What must be there of one preview, told from what people did: a model with no knowledge of how it is done.

Between two looks much may happen, and the manager sees it at a moment of its own. Where that moment decides, the model
says EITHER and takes over what it finds; where it does not, it insists.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

MARGIN_SECONDS = 900.0
"""How late the manager may be, and how long a look takes on the town's clock."""


class Did(StrEnum):
    """What may have happened between two looks."""

    CLOSED = "closed"
    REOPENED = "reopened"
    PUSHED = "pushed"
    REMOVED = "removed"
    WOKEN = "woken"
    REDEPLOYED = "redeployed"
    EXTENDED = "extended"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    SLEPT = "slept"
    LOST = "the store was lost"
    RESTORED = "the store was restored"
    LIMITS = "another time to live"
    HAND = "deleted by hand"


REVIVES = frozenset({Did.WOKEN, Did.REDEPLOYED, Did.EXTENDED, Did.PINNED})
TAKES_AWAY = frozenset({Did.CLOSED, Did.REMOVED, Did.HAND})
FORGETS = frozenset({Did.LOST, Did.RESTORED})


class Fate(StrEnum):
    THERE = "there"
    GONE = "gone"
    EITHER = "either"


@dataclass(slots=True)
class Span:
    """A moment that is known to lie between two, in seconds."""

    low: float = -math.inf
    high: float = -math.inf


@dataclass(slots=True)
class Look:
    """What was found at a look."""

    at: float
    is_there: bool
    is_ended: bool
    is_asleep: bool


@dataclass(slots=True)
class PreviewModel:
    """Of one pull request in one project."""

    head: str
    opened_at: float
    last: Look = field(init=False)
    anchor: Span = field(default_factory=Span)
    """What the time to live counts from."""
    kept_until: dict[str, Span] = field(default_factory=dict)
    """By pin and extension."""
    did: list[tuple[float, Did]] = field(default_factory=list)
    """Since the last look."""

    def __post_init__(self) -> None:
        self.last = Look(self.opened_at, is_there=False, is_ended=False, is_asleep=False)

    def note(self, at: float, did: Did) -> None:
        self.did.append((at, did))

    @property
    def doings(self) -> set[Did]:
        return {did for _, did in self.did}

    def keep_until(self, at: float, did: Did, until: float) -> None:
        """Somebody asked to keep it, or no longer to."""
        name = "extension" if did is Did.EXTENDED else "pin"
        self.note(at, did)
        self.kept_until[name] = Span(until, until)

    def fate(self, now: float, *, is_open: bool, head: str, ttl: float | None) -> Fate:
        """What must be found now."""
        if not is_open:
            return Fate.GONE
        ended, unclear = self._ended(head)
        if unclear or (self.doings & FORGETS and (ended or self.last.is_ended)):
            return Fate.EITHER
        if ended:
            return Fate.GONE
        return self._by_time(now, head, ttl)

    def _ended(self, head: str) -> tuple[bool, bool]:
        """Whether it was taken away, and whether that is unclear."""
        ended, unclear, pushed = self.last.is_ended, False, False
        for _, did in self.did:
            if did is Did.REMOVED:
                ended, unclear = True, pushed
            elif did in REVIVES:
                ended, unclear = False, False
            elif did is Did.PUSHED:
                pushed = True
                unclear |= ended and head == self.head
                ended = ended and head == self.head
            elif did is Did.REOPENED:
                unclear |= ended
        return ended, unclear

    def _by_time(self, now: float, head: str, ttl: float | None) -> Fate:
        if Did.LIMITS in self.doings:
            return Fate.EITHER
        if ttl is None:
            return Fate.THERE
        anchor = self._anchor_now(now, head, comes=not self.last.is_there)
        kept = self._kept()
        if now < max(anchor.low + ttl, kept.low) - MARGIN_SECONDS:
            return Fate.THERE
        if now > max(anchor.high + ttl, kept.high) + MARGIN_SECONDS:
            return Fate.GONE
        return Fate.EITHER

    def _anchor_now(self, now: float, head: str, *, comes: bool) -> Span:
        """The anchor moved with a push, with a new beginning, and perhaps with whatever brings back."""
        low, high = self.anchor.low, self.anchor.high
        pushes = [at for at, did in self.did if did is Did.PUSHED]
        if comes:
            # It came, or will only come now: nothing before this look counts.
            low, high = max(low, self.last.at), now
        if pushes and head != self.head:
            low = max(low, pushes[0])
        if pushes or self.doings & (REVIVES | FORGETS | {Did.CLOSED, Did.HAND, Did.REMOVED}):
            high = now
        return Span(low, high)

    def _kept(self) -> Span:
        """Until when pin and extension keep it. What the store forgot may be in Git, or not."""
        spans = list(self.kept_until.values())
        low = max((span.low for span in spans), default=-math.inf)
        high = max((span.high for span in spans), default=-math.inf)
        return Span(-math.inf if self.doings & FORGETS else low, high)

    def sleeps(self, head: str) -> bool | None:
        """Whether it must be found asleep; None if that is unclear."""
        asleep: bool | None = self.last.is_asleep
        pushed = asked = False
        for _, did in self.did:
            if did is Did.SLEPT:
                asleep, asked = None if pushed else True, True
            elif did is Did.PUSHED:
                pushed = True
                asleep = False if head != self.head else asleep and None
            elif did in {Did.WOKEN, Did.REDEPLOYED}:
                asleep, asked = False, True
            elif did in FORGETS and asked:
                asleep = None
            elif did in TAKES_AWAY | REVIVES | {Did.REOPENED}:
                # It may have begun anew, and nothing that is new sleeps.
                asleep = asleep and None
        return asleep if self.last.is_there and not self.last.is_ended else None

    def may_have_gone(self) -> bool:
        """Whether anything happened since the last look for which its objects may have been deleted."""
        return bool(self.doings & TAKES_AWAY) or not self.last.is_there

    def looked(self, look: Look, head: str) -> None:
        """Take over what was found."""
        comes = look.is_there and not self.last.is_there
        self.anchor = self._anchor_now(look.at, head, comes=comes)
        if self.doings & FORGETS:
            kept = self._kept()
            self.kept_until = {"known": Span(kept.low, kept.high)}
        self.last, self.head = look, head
        self.did.clear()

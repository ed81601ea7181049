"""A preview with what the configuration knows of it: all that a pull request shows is made of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from previews.domain.feedback import CommentMode
from previews.domain.markdown import plain
from previews.domain.policy import PASSIVE_REASONS
from previews.domain.preview import Phase
from previews.domain.reasons import remedy_of
from previews.domain.record import PreviewRecord

ANSWERING = frozenset({Phase.LIVE, Phase.ASLEEP, Phase.WAKING})
"""A visitor of its address gets it, at once or after a while."""
OVER = frozenset({Phase.REMOVED, Phase.EXPIRED, Phase.BLOCKED})
_SLEEPING = {Phase.ASLEEP, Phase.WAKING}
_NOT_THERE = {Phase.BLOCKED, Phase.QUEUED, Phase.EXPIRED}
"""Somebody may ask why, and what to do."""

HEADLINES: Mapping[Phase, str] = {
    Phase.BLOCKED: "No preview",
    Phase.QUEUED: "Waiting for its turn",
    Phase.WAITING_FOR_IMAGE: "Waiting for the image",
    Phase.PROVISIONING: "Provisioning",
    Phase.DEPLOYING: "Deploying",
    Phase.LIVE: "Live",
    Phase.DEGRADED: "Not working",
    Phase.ASLEEP: "Asleep",
    Phase.WAKING: "Waking up",
    Phase.EXPIRED: "Preview taken down",
    Phase.REMOVING: "Removing",
    Phase.REMOVED: "Preview removed",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One preview, as a pull request shows it."""

    record: PreviewRecord
    url: str
    """Its public address, shown only while it is live."""
    logs_url: str = ""
    """Where somebody who may sees its logs; empty if there is no such place."""
    comment_mode: CommentMode = CommentMode.ALWAYS
    commands: tuple[str, ...] = ()
    """What a person may ask for in a comment now."""

    @property
    def fails(self) -> bool:
        return self.record.failed or self.record.phase is Phase.DEGRADED

    @property
    def address(self) -> str:
        """Empty while no visitor gets it."""
        return self.url if self.record.phase in ANSWERING else ""

    @property
    def headline(self) -> str:
        """One line: how it stands, and why."""
        record = self.record
        if record.phase in _SLEEPING and not record.failed:
            # One line for both: each further one counts against what a forge takes for a commit.
            return "Asleep while nobody visits it: open it to wake it up"
        said = HEADLINES[record.phase]
        if record.phase in {Phase.LIVE, Phase.REMOVED} or not record.message:
            return said
        return f"{said}: {plain(record.message)}"

    @property
    def remedy(self) -> str:
        """What somebody could do so that there be a preview that works; empty if nothing, or nothing yet."""
        wanted = self.fails or self.record.phase in _NOT_THERE
        return remedy_of(self.record.reason) if wanted else ""

    @property
    def is_passive(self) -> bool:
        """Whether nobody wanted a preview here, and nobody has to do anything about it."""
        return self.record.phase is Phase.BLOCKED and self.record.reason in PASSIVE_REASONS

    @property
    def never_was(self) -> bool:
        """Whether its pull request was closed, or its preview given up, before anything was decided to be there."""
        return self.record.phase is Phase.REMOVED and self.record.facts is None

"""What an examination found: of a zone, a certificate, a cluster. Pure.

`previews doctor` prints these, and each says what to change.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it stands."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and will not for ever, or not for everybody."""
    PROBLEM = "problem"
    """Previews do not work like this."""
    UNKNOWN = "unknown"
    """It could not be found out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at, always the same words: `dns delegation`."""
    level: Level
    message: str
    """What was found, in one sentence."""
    remedy: str = ""
    """What to change, for a person who knows the system in question; empty for what is fine."""

"""One thing that there is of a preview, wherever it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thing:
    """One object, file, database or role."""

    kind: str
    name: str
    number: int | None
    """The pull request that it belongs to."""

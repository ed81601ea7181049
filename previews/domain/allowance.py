"""What may still be asked of a forge with one of our credentials, as GitHub's documented limits have it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """As it is at one moment."""

    account: str
    """Whose limits these are: those of the token, of the App itself, or of one of its installations."""
    limit: int | None
    """Requests an hour; None as long as no answer said so, or when their hour is over."""
    remaining: int | None
    creations_left: int
    """How much may still be written in this hour."""
    wait_seconds: float
    """For how long nothing at all is asked."""

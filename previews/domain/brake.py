"""The brake: more removals at once than a bad day explains are not begun before a person confirms them."""

from dataclasses import dataclass
from datetime import timedelta

from previews.domain.preview import PreviewKey


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeLimits:
    """How many removals that nobody asked for may begin within the window."""

    removals: int = 10
    """So many in any case."""
    share: float = 0.5
    """Of the previews that there are, if that is more."""
    window: timedelta = timedelta(minutes=10)

    def allowed(self, previews: int) -> int:
        return max(self.removals, int(self.share * previews))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeState:
    """What people see of the brake."""

    holds: bool
    held: tuple[tuple[PreviewKey, str], ...]
    """Each preview whose removal has not begun, and its cause."""
    begun: int
    """Within the window."""
    allowed: int
    window_seconds: float
    rewrites_waiting: int = 0
    """Previews that a changed template or configuration has not reached yet."""
    rewrites_failing: int = 0
    """Previews that it did reach, and that are not well since."""

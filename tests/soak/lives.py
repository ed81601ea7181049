"""What happens to each pull request, decided by the seed and its place alone: the same seed lives the same lives."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

IMPATIENT_SECONDS_MAX = 6.0
IMPATIENT_SHARE = 0.3
"""Of the acts whose outcome nobody waits for: they meet the manager in the middle of the act before."""
REOPENED_SHARE = 0.15
PUSHES = (0, 1, 2)
PUSH_WEIGHTS = (60, 25, 15)


class Act(StrEnum):
    """What somebody does to a pull request."""

    OPEN = "open"
    PUSH = "push"
    CLOSE = "close"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class Step:
    """One act, and how long before the next one."""

    act: Act
    impatient_seconds: float | None
    """After so long comes the next act, whatever became of this one; None waits for its outcome."""


def script(seed: int, index: int) -> tuple[Step, ...]:
    """A life from its opening to its last close, whose outcome is always waited for."""
    random = Random(f"{seed}/{index}")
    acts = [Act.OPEN, *[Act.PUSH] * random.choices(PUSHES, PUSH_WEIGHTS)[0]]
    if random.random() < REOPENED_SHARE:
        acts += [Act.CLOSE, Act.REOPEN]
    steps = [Step(act, _impatience(random)) for act in acts]
    return (*steps, Step(Act.CLOSE, None))


def _impatience(random: Random) -> float | None:
    if random.random() >= IMPATIENT_SHARE:
        return None
    return random.uniform(0, IMPATIENT_SECONDS_MAX)

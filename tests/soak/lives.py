"""What happens to each pull request, decided by the seed and its place alone: the same seed lives the same lives."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

IMPATIENT_SECONDS_MAX = 6.0
IMPATIENT_SHARE = 0.3
"""Of the acts whose outcome nobody waits for: they meet the manager in the middle of the act before."""
REOPENED_SHARE = 0.15
SAID_SHARE = 0.2
"""Of the lives in which somebody asks the manager something in a comment."""
PUSHES = (0, 1, 2)
PUSH_WEIGHTS = (60, 25, 15)
DATABASE_ACTS = (0, 1, 2)
DATABASE_ACT_WEIGHTS = (40, 40, 20)


class Act(StrEnum):
    """What somebody does to a pull request, or to its preview's database through the manager's API."""

    OPEN = "open"
    PUSH = "push"
    CLOSE = "close"
    REOPEN = "reopen"
    SAY = "say"
    RESET = "reset-database"
    ROTATE = "rotate-password"
    STAY = "stay"
    """Until all faults are over: then everything must be as it was before."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act, and how long before the next one."""

    act: Act
    impatient_seconds: float | None
    """After so long comes the next act, whatever became of this one; None waits for its outcome."""


RESIDENTS = tuple(
    tuple(Step(act, None) for act in (Act.OPEN, Act.STAY, order, Act.CLOSE))
    for order in (Act.RESET, Act.ROTATE)
)
"""Lives that outlast all faults, beside the others, where previews have databases."""


def script(seed: int, index: int, *, databases: bool = False) -> tuple[Step, ...]:
    """A life from its opening to its last close, whose outcome is always waited for."""
    random = Random(f"{seed}/{index}")
    acts = [Act.OPEN, *[Act.PUSH] * random.choices(PUSHES, PUSH_WEIGHTS)[0]]
    if random.random() < REOPENED_SHARE:
        acts += [Act.CLOSE, Act.REOPEN]
    steps = [Step(act, _impatience(random)) for act in acts]
    if databases:
        # Last of all: but for this, the same seed brings the same lives as without databases.
        _add_database_acts(steps, random)
    if Random(f"{seed}/{index}/say").random() < SAID_SHARE:
        steps.insert(1, Step(Act.SAY, 0.0))
    return (*steps, Step(Act.CLOSE, None))


def _add_database_acts(steps: list[Step], random: Random) -> None:
    """Anywhere but while the pull request is closed."""
    for _ in range(random.choices(DATABASE_ACTS, DATABASE_ACT_WEIGHTS)[0]):
        places = [place for place, step in enumerate(steps, 1) if step.act is not Act.CLOSE]
        act = random.choice((Act.RESET, Act.ROTATE))
        steps.insert(random.choice(places), Step(act, _impatience(random)))


def _impatience(random: Random) -> float | None:
    if random.random() >= IMPATIENT_SHARE:
        return None
    return random.uniform(0, IMPATIENT_SECONDS_MAX)

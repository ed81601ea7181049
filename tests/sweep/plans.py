"""What is struck when: one fault of one run. Written `workload:number of the effect:strike`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Strike(StrEnum):
    """What happens to an effect."""

    KILLED_BEFORE = "killed-before"
    KILLED_AFTER = "killed-after"
    """It was done, and nobody could record it."""
    ANSWER_LOST = "answer-lost"
    """It was done, and the manager is told that nobody answered."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Strike one effect of a run, counted from 0."""

    workload: str
    nth: int
    strike: Strike

    def __str__(self) -> str:
        return f"{self.workload}:{self.nth}:{self.strike}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        workload, nth, strike = text.split(":")
        return cls(workload, int(nth), Strike(strike))

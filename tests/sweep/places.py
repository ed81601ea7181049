"""What the sweep on the real cluster strikes, and in which order, so that few lives of pull requests are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from previews.reconcile.effects import Effect
from tests.sweep.oracles import EXTRA_WRITES_MAX
from tests.sweep.plans import Strike

PLACES: tuple[tuple[str, Effect, int], ...] = (
    ("open", Effect.ACCEPT, 1),
    ("open", Effect.SAVE_RECORD, 1),
    ("open", Effect.PUSH, 1),
    ("open", Effect.ENSURE_COMMENT, 1),
    ("open", Effect.ENSURE_RECORD, 1),
    ("open_unheard", Effect.MARK_FOR_FETCH, 1),
    ("push", Effect.CLEAR_MARK, 1),
    ("push", Effect.PUSH, 1),
    ("push", Effect.REFRESH_APPLICATION, 1),
    ("push", Effect.SET_STATUS, 1),
    ("push", Effect.RECORD_PUBLISHED, 1),
    ("name", Effect.NAME_IMAGE, 1),
    ("sleep", Effect.ACT, 1),
    ("say", Effect.REACT, 1),
    ("say", Effect.REPLY, 1),
    ("say", Effect.RECORD_COMMENTS_READ, 1),
    ("reset", Effect.DROP_DATABASE, 1),
    ("reset", Effect.CREATE_DATABASE, 1),
    ("reset", Effect.SET_CREDENTIAL, 1),
    ("reset", Effect.DELIVER_SECRET, 1),
    ("reset", Effect.NOTE_MIGRATED, 1),
    ("reset", Effect.FILL_POOL, 1),
    ("reopen", Effect.PUSH, 1),
    ("close", Effect.SAVE_RECORD, 1),
    ("close", Effect.PUSH, 1),
    ("close", Effect.PUSH, 2),
    ("close", Effect.WITHDRAW_SECRET, 1),
    ("close", Effect.DROP_DATABASE, 1),
    ("close", Effect.REMOVE_RECORD, 1),
    ("close_at_work", Effect.END_OPERATION, 1),
    ("collect", Effect.COLLECT, 1),
    ("forget", Effect.FORGET, 1),
)
"""Workload, effect, and which of its occurrences. What can be struck by a push is: it needs no new life."""

OPENINGS = frozenset({"open", "open_unheard"})
ENDINGS = frozenset({"close", "close_at_work"})
AFTERWARDS = frozenset({"collect", "forget"})
LIFE = (
    "open",
    "push",
    "name",
    "sleep",
    "say",
    "reset",
    "reopen",
    "close",
    "collect",
    "forget",
    "open_unheard",
    "close_at_work",
)
"""Every workload once, with as few lives as possible."""


@dataclass(frozen=True, slots=True)
class RealPlan:
    """Strike an effect of a workload when it comes for the nth time."""

    workload: str
    effect: Effect
    occurrence: int
    strike: Strike

    def __str__(self) -> str:
        return f"{self.workload}:{self.effect}#{self.occurrence}:{self.strike}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        workload, effect, strike = text.split(":")
        name, _, occurrence = effect.partition("#")
        return cls(workload, Effect(name), int(occurrence), Strike(strike))


@dataclass(frozen=True, slots=True)
class Costs:
    """What one step wrote."""

    commits: int
    statuses: int

    def excess(self, usual: "Costs") -> Iterator[str]:
        for what, count, before in (
            ("commits", self.commits, usual.commits),
            ("statuses", self.statuses, usual.statuses),
        ):
            if count > before + EXTRA_WRITES_MAX:
                yield f"{count} {what}, undisturbed at most {before}"


def chosen_plans() -> list[RealPlan]:
    """Every place in every way."""
    return [RealPlan(*place, strike) for place in PLACES for strike in Strike]


def in_lives(plans: Sequence[RealPlan]) -> Iterator[RealPlan]:
    """A beginning, what needs a live preview, an end, and what follows it. What is missing is done unstruck."""
    begin = [plan for plan in plans if plan.workload in OPENINGS]
    over = [plan for plan in plans if plan.workload in AFTERWARDS]
    end = [plan for plan in plans if plan.workload in ENDINGS]
    rest = [plan for plan in plans if plan.workload not in OPENINGS | AFTERWARDS | ENDINGS]
    while begin or rest or end or over:
        yield from begin[:1]
        yield from rest
        yield from end[:1]
        yield from over[:1]
        rest = []
        del begin[:1], end[:1], over[:1]

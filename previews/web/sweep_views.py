"""What the API shows of the brake, and of what was left behind."""

from typing import Self

from pydantic import AwareDatetime, BaseModel

from previews.domain.brake import BrakeState
from previews.domain.inventory import Found, Sweep
from previews.web.views import Text


class HeldView(BaseModel):
    """A removal that the brake holds."""

    preview: str
    cause: Text


class BrakeView(BaseModel):
    """Whether removals that nobody asked for are held, and which."""

    holds: bool
    held: list[HeldView]
    begun: int
    allowed: int
    window_seconds: float
    rewrites_waiting: int
    rewrites_failing: int

    @classmethod
    def of(cls, state: BrakeState) -> Self:
        return cls(
            holds=state.holds,
            held=[HeldView(preview=str(key), cause=cause) for key, cause in state.held],
            begun=state.begun,
            allowed=state.allowed,
            window_seconds=state.window_seconds,
            rewrites_waiting=state.rewrites_waiting,
            rewrites_failing=state.rewrites_failing,
        )


class ThingView(BaseModel):
    """A thing that carries this manager's label, or lies in its folder in Git."""

    kind: str
    name: Text
    preview: str | None
    shard: str | None
    created_at: AwareDatetime | None
    verdict: str
    cause: Text
    orphan_since: AwareDatetime | None
    waits: Text | None
    """Why an orphan is not removed yet."""

    @classmethod
    def of(cls, found: Found) -> Self:
        owned = found.owned
        return cls(
            kind=owned.kind,
            name=owned.name,
            preview=str(owned.owner) if owned.owner else None,
            shard=owned.shard or None,
            created_at=owned.created_at,
            verdict=found.verdict,
            cause=found.cause,
            orphan_since=found.since,
            waits=found.waits or None,
        )


class Inventory(BaseModel):
    """Everything that is there of ours."""

    things: list[ThingView]


class SweepView(BaseModel):
    """One look at everything, and what was done about it."""

    at: AwareDatetime
    actor: Text
    dry_run: bool
    orphans: list[ThingView]
    planned: list[ThingView]
    """What the sweep removes; with `dry_run`, what it would."""
    removed: list[ThingView]
    held: Text | None
    needs_confirmation: bool
    problems: list[Text]

    @classmethod
    def of(cls, sweep: Sweep) -> Self:
        return cls(
            at=sweep.at,
            actor=sweep.actor,
            dry_run=sweep.dry_run,
            orphans=[ThingView.of(found) for found in sweep.orphans],
            planned=[ThingView.of(found) for found in sweep.planned],
            removed=[ThingView.of(found) for found in sweep.removed],
            held=sweep.held or None,
            needs_confirmation=sweep.needs_confirmation,
            problems=list(sweep.problems),
        )

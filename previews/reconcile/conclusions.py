"""What a decision makes of a preview's record. Pure."""

from dataclasses import replace
from datetime import datetime

from previews.domain.lifetime import EndCause
from previews.domain.naming import Names
from previews.domain.observation import Fact, Observation, Plan
from previews.domain.preview import Condition, Stage
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure, is_there
from previews.reconcile.chronicle import removal_of
from previews.reconcile.lifetimes import Outlook


def note(  # noqa: PLR0917 - everything that a decision is about
    record: PreviewRecord,
    leaving: Departure | None,
    seen: Observation,
    names: Names,
    decision: Plan,
    now: datetime,
) -> PreviewRecord:
    """The record with what was decided, and how far its removal has come."""
    return replace(
        record,
        phase=decision.phase,
        reason=decision.reason,
        message=decision.message,
        failed=decision.failed,
        conditions=tuple(_condition(fact, record.conditions, now) for fact in decision.facts),
        removal=removal_of(record.removal, leaving, seen, names, now),
    )


def note_lifetime(  # noqa: PLR0917 - everything that a decision is about
    record: PreviewRecord,
    leaving: Departure | None,
    seen: Observation,
    outlook: Outlook,
    decision: Plan,
    now: datetime,
) -> PreviewRecord:
    """The record with when it came, sleeps, ends, and since when it waits for a place."""
    facts = record.facts
    if leaving is not None:
        if leaving.cause == EndCause.EXPIRED and facts is not None and not seen.is_held:
            facts = replace(facts, expired_at=outlook.end.at if outlook.end else now)
    elif decision.stage is Stage.WHOLE:
        facts = replace(outlook.facts, asleep=seen.sleep)
        if not is_there(seen):
            # A new life: what ended the last one, perhaps by a clock that was wrong, is over.
            facts = replace(facts, created_at=now, expired_at=None)
    queued = seen.place is not None
    return replace(
        record,
        facts=facts,
        expiry=outlook.expiry,
        queued_since=(record.queued_since or now) if queued else None,
    )


def _condition(fact: Fact, before: tuple[Condition, ...], now: datetime) -> Condition:
    """The condition of a fact; its time is that of the last change of its status."""
    since = next((c.since for c in before if (c.type, c.status) == (fact.type, fact.status)), now)
    return Condition(fact.type, fact.status, fact.reason, fact.message, since)

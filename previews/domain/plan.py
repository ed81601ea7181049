"""Decides. `plan` is pure, and the only place where it is said what should happen to a preview.

Read it from top to bottom as a preview's life: one that may not be there is removed in stages; another waits for its
place and its image, is written to Git, deployed by Argo CD, and asked at its URL; nobody visits it, and it sleeps.
`green` says what all of it comes to (docs/architecture.md).
"""

from datetime import UTC, datetime, timedelta

from previews.domain.caps import Place
from previews.domain.green import Rung, rungs, wanted_mode
from previews.domain.images import late_image
from previews.domain.lifetime import MANAGER
from previews.domain.observation import (
    DIAGNOSE_SECONDS,
    IMAGE_AGAIN_SECONDS,
    LOOK_AGAIN_SECONDS,
    LOOK_AGAIN_SLOWLY_SECONDS,
    NUDGE_AFTER_SECONDS,
    NUDGES_END_AFTER_SECONDS,
    PROBE_AGAIN_SECONDS,
    PROBE_SOON_SECONDS,
    SILENT_AGAIN_SECONDS,
    Deadlines,
    Fact,
    Observation,
    Plan,
)
from previews.domain.preview import Mode, Phase, PullRequest, Stage
from previews.domain.removal import (
    Departure,
    hold,
    is_being_removed,
    is_root_blind,
    is_there,
    remove,
)


def plan(
    leaving: Departure | None,
    pull_request: PullRequest,
    seen: Observation,
    now: datetime,
    deadlines: Deadlines,
) -> Plan:
    """Decide what happens to one preview. `leaving` is what `departure` said."""
    if leaving is not None:
        return plan_removal(leaving, seen)
    if foreign := _foreign_object(seen):
        return foreign
    if is_being_removed(seen):
        again = "reopened: the new preview starts when the old one is gone"
        return remove(Departure("Reopened", again, MANAGER, Phase.REMOVED), seen)
    if seen.place is not None and not is_there(seen):
        return Plan(
            phase=Phase.QUEUED,
            reason="Queued",
            message=_queued(seen.place),
            facts=(),
            look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS,
        )
    return _deploy(pull_request, seen, now, deadlines)


def plan_removal(leaving: Departure, seen: Observation) -> Plan:
    """Decide what happens to a preview that may not be there."""
    if foreign := _foreign_object(seen):
        return foreign
    return hold(leaving, seen) if seen.is_held else remove(leaving, seen)


def _queued(place: Place) -> str:
    return f"{place.standing}: there are {place.full} already"


def _foreign_object(seen: Observation) -> Plan | None:
    for kind, found in (("Application", seen.application), ("Namespace", seen.namespace)):
        if found is not None and found.owner != seen.key:
            return Plan(
                phase=Phase.BLOCKED,
                reason="NotOurs",
                message=f"{kind} {found.name} exists already and does not carry this preview's labels",
                facts=(),
                failed=True,
                # No watch tells of what is not ours.
                look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS,
            )
    return None


def _deploy(
    pull_request: PullRequest, seen: Observation, now: datetime, deadlines: Deadlines
) -> Plan:
    mode = wanted_mode(seen)
    facts: list[Fact] = []
    for rung in rungs(pull_request, seen, mode):
        if rung.problem is not None:
            return _wait_for(rung, facts, seen, now, deadlines)
        facts.append(Fact(type=rung.condition, status=True, reason="Met"))
    if mode is Mode.WARMING:
        return Plan(
            phase=Phase.WAKING,
            reason="OpeningTheHost",
            message="its pods answer",
            facts=tuple(facts),
            stage=Stage.WHOLE,
        )
    if mode is Mode.ASLEEP:
        return _asleep(seen, tuple(facts))
    return Plan(
        phase=Phase.LIVE,
        reason="Live",
        message=seen.probe.detail if seen.probe else "",
        facts=tuple(facts),
        stage=Stage.WHOLE,
        probe=seen.is_suspected,
        look_again_after_seconds=SILENT_AGAIN_SECONDS if seen.is_suspected else None,
    )


def _asleep(seen: Observation, facts: tuple[Fact, ...]) -> Plan:
    why = seen.sleep.by if seen.sleep else ""
    if seen.place:
        return Plan(
            phase=Phase.ASLEEP,
            reason="Queued",
            message=f"it is to wake up; {_queued(seen.place)}",
            facts=facts,
            stage=Stage.WHOLE,
            mode=Mode.ASLEEP,
            look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS,
        )
    return Plan(
        phase=Phase.ASLEEP,
        reason="Asleep",
        message=why,
        facts=facts,
        stage=Stage.WHOLE,
        mode=Mode.ASLEEP,
    )


_FAILED_REASONS = {"MigrationFailed", "Refused", "SyncFailed", "HealthDegraded"}
_CONDITIONS_BEFORE_GIT = {"DatabaseReady", "SecretsReady"}
_POLLED = {"DatabaseReady", "SecretsReady", "Named", "Answering"}
"""What no watch tells of."""


def _wait_for(
    rung: Rung, facts: list[Fact], seen: Observation, now: datetime, deadlines: Deadlines
) -> Plan:
    """Something between the commit and the answer is not there yet, or not any more."""
    mode = wanted_mode(seen)
    reason, message = rung.problem or ("", "")
    for_image = rung.phase is Phase.WAITING_FOR_IMAGE
    allowed = deadlines.image if for_image else deadlines.deploy
    waited = now - _waiting_since(rung, seen)
    late = waited > allowed
    if late and for_image and seen.image_trouble is None:
        message = late_image(seen.image_name, seen.run, allowed)
    elif late:
        so_far = f"not so after {allowed.total_seconds() / 60:g} min, still looking"
        message = f"{message}; {so_far}" if message else so_far
    failed = late or reason in _FAILED_REASONS or _needs_somebody(rung, seen)
    rests, nudge = _rests(rung, seen, now)
    return Plan(
        phase=Phase.DEGRADED if failed and not for_image else _shown(rung, seen, mode),
        reason=reason,
        message=message,
        facts=(*facts, Fact(type=rung.condition, status=False, reason=reason, message=message)),
        stage=None if for_image or rung.condition in _CONDITIONS_BEFORE_GIT else Stage.WHOLE,
        mode=mode,
        bring_database=rung.condition == "DatabaseReady",
        bring_parcels=rung.condition == "SecretsReady",
        bring_record=rung.condition == "Named",
        probe=rung.condition == "Answering",
        failed=failed,
        refresh=nudge,
        refresh_root=rung.condition == "Applied" and is_root_blind(seen),
        look_again_after_seconds=(
            NUDGE_AFTER_SECONDS
            if rests and seen.cause is None
            else _look_again(rung, seen, now, waited, late=late)
        ),
    )


def _look_again(
    rung: Rung, seen: Observation, now: datetime, waited: timedelta, *, late: bool
) -> float:
    for_image = rung.phase is Phase.WAITING_FOR_IMAGE
    if rung.condition == "Answering":
        return _ask_again(rung, seen, now)
    if for_image and seen.image_trouble is not None and seen.image_trouble.is_stalled:
        return LOOK_AGAIN_SLOWLY_SECONDS
    if for_image and not late:
        return min(IMAGE_AGAIN_SECONDS, _patience(waited))
    if for_image or rung.condition in _POLLED:
        return _patience(waited)
    if rung.condition in {"Synced", "Healthy"}:
        return max(DIAGNOSE_SECONDS, _patience(waited))
    return LOOK_AGAIN_SLOWLY_SECONDS


def _ask_again(rung: Rung, seen: Observation, now: datetime) -> float:
    """However long the pods took: people wait for the address from now on."""
    if seen.probe is not None and seen.probe.doubts:
        return PROBE_AGAIN_SECONDS
    return _patience(now - _unmet_since(rung, seen, now), least=PROBE_SOON_SECONDS)


def _needs_somebody(rung: Rung, seen: Observation) -> bool:
    """Whether waiting alone will not help."""
    match rung.condition:
        case "ImageFound":
            trouble = seen.image_trouble
        case "DatabaseReady":
            trouble = seen.trouble
        case "SecretsReady":
            trouble = seen.parcel_trouble
        case "Named":
            trouble = seen.record_trouble
        case "Synced" | "Healthy":
            return seen.cause is not None and seen.cause.is_final
        case "Answering":
            return seen.probe is not None and seen.probe.was_live
        case _:
            return False
    return trouble is not None and trouble.is_stalled


def _rests(rung: Rung, seen: Observation, now: datetime) -> tuple[bool, bool]:
    """Whether Argo CD has nothing under way although it is not done, and whether it should be told to look again.

    It writes what it found out once: if the API server was away just then, the Application shows the past until Argo
    CD looks again, which it does every few minutes. So does one that came before its AppProject was known.
    """
    application = seen.application
    if rung.condition != "Synced" or application is None:
        return False, False
    if application.operation_phase in {"Running", "Terminating"}:
        return False, False
    rested = (now - _unmet_since(rung, seen, now)).total_seconds()
    return True, NUDGE_AFTER_SECONDS <= rested <= NUDGES_END_AFTER_SECONDS


def _shown(rung: Rung, seen: Observation, mode: Mode) -> Phase:
    """Falling asleep and waking are told apart from a deployment."""
    if rung.phase is Phase.WAITING_FOR_IMAGE:
        return rung.phase
    if mode is Mode.ASLEEP:
        return Phase.ASLEEP
    if mode is Mode.WARMING or seen.was in {Phase.ASLEEP, Phase.WAKING}:
        return Phase.WAKING
    return rung.phase


def _patience(waited: timedelta, *, least: float = LOOK_AGAIN_SECONDS) -> float:
    """The longer something has not been there, the more seldom it is asked for: a fifth later each time, in seconds."""
    return min(LOOK_AGAIN_SLOWLY_SECONDS, max(least, waited.total_seconds() * 0.2))


def _unmet_since(rung: Rung, seen: Observation, otherwise: datetime) -> datetime:
    """When its condition was first seen not to be met."""
    since = {(c.type, c.status): c.since for c in seen.conditions}
    return since.get((rung.condition, False), otherwise)


def _waiting_since(rung: Rung, seen: Observation) -> datetime:
    """What a deadline counts from.

    That is the commit for its image, and for the rest when it was decided what to deploy. A preview that was live with
    these manifests counts from its own failure instead.
    """
    if rung.phase is Phase.WAITING_FOR_IMAGE:
        return seen.head_since
    if seen.probe is not None and seen.probe.was_live:
        return _unmet_since(rung, seen, datetime.max.replace(tzinfo=UTC))
    return seen.manifests_since or seen.head_since

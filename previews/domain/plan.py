"""Decides. `plan` is pure, and the only place where it is said what should happen to a preview.

Read it from top to bottom as a preview's life: one that may not be there is removed in stages; another waits for its
place and its image, is written to Git, deployed by Argo CD, and asked at its URL; nobody visits it, and it sleeps.
Green means all of it (docs/architecture.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from previews.domain.caps import Place
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
from previews.domain.preview import Application, Mode, Phase, PullRequest, Stage
from previews.domain.removal import (
    Departure,
    hold,
    is_being_removed,
    is_root_blind,
    is_there,
    remove,
    why,
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
    return f"number {place.number} in the queue: there are {place.full} already"


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


@dataclass(frozen=True, slots=True)
class _Rung:
    """One condition of green. It is met when there is no problem; each needs the ones before it."""

    condition: str
    phase: Phase
    """Shown while it is not met."""
    problem: tuple[str, str] | None = None
    """Reason and message."""


def _deploy(
    pull_request: PullRequest, seen: Observation, now: datetime, deadlines: Deadlines
) -> Plan:
    mode = wanted_mode(seen)
    facts: list[Fact] = []
    for rung in _rungs(pull_request, seen, mode):
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


def wanted_mode(seen: Observation) -> Mode:
    """Asleep in one step, awake in two: its host is claimed only when its pods answer, so nobody sees an error."""
    if seen.sleep is not None:
        return Mode.ASLEEP
    if seen.manifests is None or seen.manifests.stage is not Stage.WHOLE:
        return Mode.AWAKE
    if seen.manifests.mode is Mode.ASLEEP:
        return Mode.ASLEEP if seen.place else Mode.WARMING
    return seen.manifests.mode


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


def _rungs(pull_request: PullRequest, seen: Observation, mode: Mode) -> Iterator[_Rung]:
    """What green means, in the order in which it comes true. Asked no further than the first that is not met."""
    if seen.needs_image:
        yield _Rung("ImageFound", Phase.WAITING_FOR_IMAGE, _no_image(seen))
    if seen.needs_database:
        yield _Rung("DatabaseReady", Phase.PROVISIONING, _no_database(seen))
    if seen.parcels is None:
        yield _Rung("SecretsReady", Phase.PROVISIONING, why(seen.parcel_trouble, "SealingSecrets"))
    manifests = seen.manifests
    decided = (
        manifests is not None
        and manifests.stage is Stage.WHOLE
        and manifests.head_sha == pull_request.head_sha
        and manifests.mode is mode
        and manifests.grant == seen.grant
        and manifests.image == seen.image
        and manifests.parcels == seen.parcels
    )
    in_git = decided and seen.pushed
    unwritten = ("WritingToGit", seen.git_problem)
    yield _Rung("Pushed", Phase.PROVISIONING, None if in_git else unwritten)
    application = seen.application
    if application is None or manifests is None or application.digest != manifests.digest:
        said = "; ".join(seen.root.problems) if seen.root else ""
        yield _Rung("Applied", Phase.PROVISIONING, ("WaitingForArgoCD", said))
        return
    yield _Rung("Applied", Phase.PROVISIONING)
    yield _Rung("Synced", Phase.DEPLOYING, _not_synced(application, seen))
    if mode is Mode.ASLEEP:
        return
    yield _Rung("Healthy", Phase.DEPLOYING, _not_healthy(application, seen))
    if mode is Mode.WARMING:
        return
    if seen.needs_record:
        unnamed = None if seen.has_record else why(seen.record_trouble, "NamingTheHost")
        yield _Rung("Named", Phase.DEPLOYING, unnamed)
    verdict = seen.probe
    silent = (verdict.reason, verdict.detail) if verdict else ("URLDoesNotAnswer", "")
    yield _Rung("Answering", Phase.DEPLOYING, None if verdict and verdict.answered else silent)


def _no_image(seen: Observation) -> tuple[str, str] | None:
    if seen.image is not None:
        return None
    if seen.image_trouble is not None:
        return seen.image_trouble.reason, seen.image_trouble.message
    return "NoImage", f"no image {seen.image_name} in the registry yet"


def _no_database(seen: Observation) -> tuple[str, str] | None:
    return None if seen.grant is not None else why(seen.trouble, "CreatingDatabase")


def _not_synced(application: Application, seen: Observation) -> tuple[str, str] | None:
    if seen.migration_log:
        return "MigrationFailed", seen.migration_log
    if application.problems:
        return "Refused", "; ".join(application.problems)
    if application.operation_phase in {"Failed", "Error"}:
        return "SyncFailed", application.operation_message
    proven = application.proven_for_spec and application.operation_phase == "Succeeded"
    if not proven or application.sync != "Synced":
        # A wave that does not come up holds the rest of the sync.
        cause = seen.cause
        return (
            (cause.reason, cause.message) if cause else ("Syncing", application.operation_message)
        )
    return None


def _not_healthy(application: Application, seen: Observation) -> tuple[str, str] | None:
    if seen.secret_problem:
        return "SecretNotDelivered", seen.secret_problem
    if application.health != "Healthy":
        if seen.cause is not None:
            return seen.cause.reason, seen.cause.message
        return f"Health{application.health}", "the workload is not healthy"
    image = seen.image
    if seen.needs_image and image is not None and not image.runs_in(application.images):
        return "OldImage", f"no pod runs {image.reference} yet"
    return None


_FAILED_REASONS = {"MigrationFailed", "Refused", "SyncFailed", "HealthDegraded"}
_CONDITIONS_BEFORE_GIT = {"DatabaseReady", "SecretsReady"}
_POLLED = {"DatabaseReady", "SecretsReady", "Named", "Answering"}
"""What no watch tells of."""


def _wait_for(
    rung: _Rung, facts: list[Fact], seen: Observation, now: datetime, deadlines: Deadlines
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
    rung: _Rung, seen: Observation, now: datetime, waited: timedelta, *, late: bool
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


def _ask_again(rung: _Rung, seen: Observation, now: datetime) -> float:
    """However long the pods took: people wait for the address from now on."""
    if seen.probe is not None and seen.probe.doubts:
        return PROBE_AGAIN_SECONDS
    return _patience(now - _unmet_since(rung, seen, now), least=PROBE_SOON_SECONDS)


def _needs_somebody(rung: _Rung, seen: Observation) -> bool:
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


def _rests(rung: _Rung, seen: Observation, now: datetime) -> tuple[bool, bool]:
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


def _shown(rung: _Rung, seen: Observation, mode: Mode) -> Phase:
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


def _unmet_since(rung: _Rung, seen: Observation, otherwise: datetime) -> datetime:
    """When its condition was first seen not to be met."""
    since = {(c.type, c.status): c.since for c in seen.conditions}
    return since.get((rung.condition, False), otherwise)


def _waiting_since(rung: _Rung, seen: Observation) -> datetime:
    """What a deadline counts from.

    That is the commit for its image, and for the rest when it was decided what to deploy. A preview that was live with
    these manifests counts from its own failure instead.
    """
    if rung.phase is Phase.WAITING_FOR_IMAGE:
        return seen.head_since
    if seen.probe is not None and seen.probe.was_live:
        return _unmet_since(rung, seen, datetime.max.replace(tzinfo=UTC))
    return seen.manifests_since or seen.head_since

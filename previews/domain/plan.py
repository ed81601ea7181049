"""Decides. `plan` is pure, and the only place where it is said what should happen to a preview.

Read it from top to bottom as a preview's life: one that may not be there is removed in stages; another waits for its
place and its image, is written to Git, deployed by Argo CD, and asked at its URL; nobody visits it, and it sleeps.
Green means all of it (docs/architecture.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from previews.domain.caps import Place
from previews.domain.lifetime import MANAGER
from previews.domain.observation import (
    LOOK_AGAIN_SECONDS,
    LOOK_AGAIN_SLOWLY_SECONDS,
    NUDGE_AFTER_SECONDS,
    NUDGES_END_AFTER_SECONDS,
    Deadlines,
    Fact,
    Observation,
    Plan,
)
from previews.domain.preview import Application, Image, Mode, Phase, PullRequest, Stage
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
        message=seen.probe_result.detail if seen.probe_result else "",
        facts=tuple(facts),
        stage=Stage.WHOLE,
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
        missing = ("NoImage", "the registry does not have this commit's image yet")
        yield _Rung("ImageFound", Phase.WAITING_FOR_IMAGE, None if seen.image else missing)
    if seen.needs_database:
        yield _Rung("DatabaseReady", Phase.PROVISIONING, _no_database(seen))
    manifests = seen.manifests
    decided = (
        manifests is not None
        and manifests.stage is Stage.WHOLE
        and manifests.head_sha == pull_request.head_sha
        and manifests.mode is mode
        and manifests.grant == seen.grant
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
    yield _Rung("Synced", Phase.DEPLOYING, _not_synced(application, seen.migration_log))
    if mode is Mode.ASLEEP:
        return
    image = seen.image if seen.needs_image else None
    yield _Rung("Healthy", Phase.DEPLOYING, _not_healthy(application, image, seen.secret_problem))
    if mode is Mode.WARMING:
        return
    result = seen.probe_result
    silent = ("URLDoesNotAnswer", result.detail if result else "")
    yield _Rung("Answering", Phase.DEPLOYING, None if result and result.answered else silent)


def _no_database(seen: Observation) -> tuple[str, str] | None:
    if seen.grant is not None:
        return None
    trouble = seen.trouble
    return (trouble.reason, trouble.message) if trouble else ("CreatingDatabase", "")


def _not_synced(application: Application, migration_log: str) -> tuple[str, str] | None:
    if migration_log:
        return "MigrationFailed", migration_log
    if application.problems:
        return "Refused", "; ".join(application.problems)
    if application.operation_phase in {"Failed", "Error"}:
        return "SyncFailed", application.operation_message
    proven = application.proven_for_spec and application.operation_phase == "Succeeded"
    if not proven or application.sync != "Synced":
        return "Syncing", application.operation_message
    return None


def _not_healthy(
    application: Application, image: Image | None, secret_problem: str
) -> tuple[str, str] | None:
    if secret_problem:
        return "SecretNotDelivered", secret_problem
    if application.health != "Healthy":
        return f"Health{application.health}", "the workload is not healthy"
    if image is not None and image.reference not in application.images:
        return "OldImage", f"no pod runs {image.reference} yet"
    return None


_FAILED_REASONS = {"MigrationFailed", "Refused", "SyncFailed", "HealthDegraded"}


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
    if late:
        so_far = f"not so after {allowed.total_seconds() / 60:g} min, still looking"
        message = f"{message}; {so_far}" if message else so_far
    for_database = rung.condition == "DatabaseReady"
    stalled = for_database and seen.trouble is not None and seen.trouble.is_stalled
    failed = late or stalled or reason in _FAILED_REASONS
    polled = for_image or for_database or rung.condition == "Answering"
    rests, nudge = _rests(rung, seen, now)
    return Plan(
        phase=Phase.DEGRADED if failed and not for_image else _shown(rung, seen, mode),
        reason=reason,
        message=message,
        facts=(*facts, Fact(type=rung.condition, status=False, reason=reason, message=message)),
        stage=None if for_image or for_database else Stage.WHOLE,
        mode=mode,
        bring_database=for_database,
        probe=rung.condition == "Answering",
        failed=failed,
        refresh=nudge,
        refresh_root=rung.condition == "Applied" and is_root_blind(seen),
        look_again_after_seconds=(
            _patience(waited)
            if polled
            else NUDGE_AFTER_SECONDS
            if rests
            else LOOK_AGAIN_SLOWLY_SECONDS
        ),
    )


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
    since = {(c.type, c.status): c.since for c in seen.conditions}.get((rung.condition, False), now)
    rested = (now - since).total_seconds()
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


def _patience(waited: timedelta) -> float:
    """The longer something has not been there, the more seldom it is asked for: a fifth later each time, in seconds."""
    return min(LOOK_AGAIN_SLOWLY_SECONDS, max(LOOK_AGAIN_SECONDS, waited.total_seconds() * 0.2))


def _waiting_since(rung: _Rung, seen: Observation) -> datetime:
    """What a deadline counts from.

    That is the commit for its image, and for the rest when it was decided what to deploy. A preview that was live with
    these manifests counts from its own failure instead.
    """
    if rung.phase is Phase.WAITING_FOR_IMAGE:
        return seen.head_since
    if seen.probe_result is not None and seen.probe_result.answered:
        since = {(c.type, c.status): c.since for c in seen.conditions}
        return since.get((rung.condition, False), datetime.max.replace(tzinfo=UTC))
    return seen.manifests_since or seen.head_since

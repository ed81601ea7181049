"""Decides. `plan` is pure, and the only place where it is said what should happen to a preview.

Read it from top to bottom as a preview's life: closed or blocked previews are removed in stages; an open one waits for
its image, is written to Git, deployed by Argo CD, and asked at its URL. Green means all of it (docs/architecture.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from previews.domain.preview import (
    Application,
    Condition,
    Image,
    Manifests,
    Namespace,
    Phase,
    PreviewKey,
    ProbeResult,
    PullRequest,
    Stage,
)

APPLICATION_FILE = "application.yaml"
"""The file of a preview's folder that Stage.NAMESPACE leaves out."""
LOOK_AGAIN_SECONDS = 1.0
"""While something is under way that no watch reports: an image, an answer of the URL."""
LOOK_AGAIN_SLOWLY_SECONDS = 30.0
"""When it has been under way for longer than it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a preview may take before its pending status becomes a failure. It is still waited for."""

    image: timedelta
    deploy: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The facts that a decision rests on, all read after the event that asked for it."""

    key: PreviewKey
    image: Image | None
    """Of this head_sha, if the registry has it; unused for a project without an image."""
    needs_image: bool
    manifests: Manifests | None
    """What was last decided to be in Git."""
    pushed: bool
    """Whether Git has exactly `manifests`."""
    git_problem: str
    """Why nothing can be written to Git at present."""
    files_in_git: frozenset[str]
    """The names of the preview's files at the branch's tip."""
    files_in_use: frozenset[str]
    """The preview's files in commits that Argo CD still works from: it may yet create what Git no longer has."""
    application: Application | None
    namespace: Namespace | None
    app_project_exists: bool
    probe_result: ProbeResult | None
    """Of these manifests, since Argo CD finished with them."""
    head_since: datetime
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A condition as decided; the record adds since when."""

    type: str
    status: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to show, and what to do next."""

    phase: Phase
    reason: str
    message: str
    facts: tuple[Fact, ...]
    stage: Stage | None = None
    """What should be in Git; None leaves it as it is."""
    probe: bool = False
    end_operation: bool = False
    failed: bool = False
    """Whether the commit status should say failure rather than pending."""
    look_again_after_seconds: float | None = None


def plan(pull_request: PullRequest, seen: Observation, now: datetime, deadlines: Deadlines) -> Plan:
    """Decide what happens to one preview."""
    if foreign := _foreign_object(seen):
        return Plan(
            phase=Phase.BLOCKED,
            reason="NotOurs",
            message=foreign,
            facts=(),
            failed=True,
            # No watch tells of what is not ours.
            look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS,
        )
    if not pull_request.is_open:
        return _remove(seen, "pull request closed")
    if pull_request.from_fork:
        return _block(seen, "ForksAreOff", "previews of forks are off on this server")
    if _is_being_removed(seen):
        return _remove(seen, "reopened: the new preview starts when the old one is gone")
    return _deploy(pull_request, seen, now, deadlines)


def _foreign_object(seen: Observation) -> str:
    for kind, found in (("Application", seen.application), ("Namespace", seen.namespace)):
        if found is not None and found.owner != seen.key:
            return f"{kind} {found.name} exists already and does not carry this preview's labels"
    return ""


def _is_being_removed(seen: Observation) -> bool:
    return bool(
        (seen.application and seen.application.deleting)
        or (seen.namespace and seen.namespace.deleting)
        or (seen.manifests and seen.manifests.stage is not Stage.WHOLE and not _is_gone(seen))
    )


def _is_gone(seen: Observation) -> bool:
    return not (
        seen.application
        or seen.namespace
        or seen.app_project_exists
        or seen.files_in_git
        or seen.files_in_use
    )


def _block(seen: Observation, reason: str, message: str) -> Plan:
    """A pull request that may have no preview; one that it had before goes."""
    if not _is_gone(seen):
        return _remove(seen, message)
    return Plan(phase=Phase.BLOCKED, reason=reason, message=message, facts=())


def _remove(seen: Observation, why: str) -> Plan:
    """The phases of removal, each entered only when the one before is proven."""
    application, namespace = seen.application, seen.namespace
    facts = (
        Fact(type="ApplicationGone", status=application is None, reason="Observed"),
        Fact(type="NamespaceGone", status=namespace is None, reason="Observed"),
    )
    if _is_gone(seen):
        return Plan(
            phase=Phase.REMOVED,
            reason="NothingLeft",
            message="Application, namespace, AppProject and files in Git are gone",
            facts=(*facts, Fact(type="Removed", status=True, reason="NothingLeft")),
            stage=Stage.NOTHING,
        )
    if application is not None or APPLICATION_FILE in seen.files_in_git | seen.files_in_use:
        return Plan(
            phase=Phase.REMOVING,
            reason="EndingTheWorkload",
            message=_joined(why, application.problems if application else ()),
            facts=facts,
            stage=Stage.NAMESPACE,
            end_operation=_blocks_its_deletion(application),
            look_again_after_seconds=(
                LOOK_AGAIN_SECONDS if application is None else LOOK_AGAIN_SLOWLY_SECONDS
            ),
        )
    return Plan(
        phase=Phase.REMOVING,
        reason="RemovingTheNamespace",
        message=_joined(why, namespace.problems if namespace else ()),
        facts=facts,
        stage=Stage.NOTHING,
        look_again_after_seconds=(
            LOOK_AGAIN_SECONDS if namespace is None else LOOK_AGAIN_SLOWLY_SECONDS
        ),
    )


def _blocks_its_deletion(application: Application | None) -> bool:
    return bool(
        application and application.deleting and application.operation_phase in {"Running", "Error"}
    )


def _joined(why: str, problems: tuple[str, ...]) -> str:
    return "; ".join((why, *problems))


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
    facts: list[Fact] = []
    for rung in _rungs(pull_request, seen):
        if rung.problem is not None:
            return _wait_for(rung, facts, seen, now, deadlines)
        facts.append(Fact(type=rung.condition, status=True, reason="Met"))
    return Plan(
        phase=Phase.LIVE,
        reason="Live",
        message=seen.probe_result.detail if seen.probe_result else "",
        facts=tuple(facts),
        stage=Stage.WHOLE,
    )


def _rungs(pull_request: PullRequest, seen: Observation) -> Iterator[_Rung]:
    """What green means, in the order in which it comes true. Asked no further than the first that is not met."""
    if seen.needs_image:
        missing = ("NoImage", "the registry does not have this commit's image yet")
        yield _Rung("ImageFound", Phase.WAITING_FOR_IMAGE, None if seen.image else missing)
    manifests = seen.manifests
    decided = (
        manifests is not None
        and manifests.stage is Stage.WHOLE
        and manifests.head_sha == pull_request.head_sha
    )
    in_git = decided and seen.pushed
    unwritten = ("WritingToGit", seen.git_problem)
    yield _Rung("Pushed", Phase.PROVISIONING, None if in_git else unwritten)
    application = seen.application
    if application is None or manifests is None or application.digest != manifests.digest:
        yield _Rung("Applied", Phase.PROVISIONING, ("WaitingForArgoCD", ""))
        return
    yield _Rung("Applied", Phase.PROVISIONING)
    yield _Rung("Synced", Phase.DEPLOYING, _not_synced(application))
    image = seen.image if seen.needs_image else None
    yield _Rung("Healthy", Phase.DEPLOYING, _not_healthy(application, image))
    result = seen.probe_result
    silent = ("URLDoesNotAnswer", result.detail if result else "")
    yield _Rung("Answering", Phase.DEPLOYING, None if result and result.answered else silent)


def _not_synced(application: Application) -> tuple[str, str] | None:
    if application.problems:
        return "Refused", "; ".join(application.problems)
    if application.operation_phase in {"Failed", "Error"}:
        return "SyncFailed", application.operation_message
    proven = application.proven_for_spec and application.operation_phase == "Succeeded"
    if not proven or application.sync != "Synced":
        return "Syncing", application.operation_message
    return None


def _not_healthy(application: Application, image: Image | None) -> tuple[str, str] | None:
    if application.health != "Healthy":
        return f"Health{application.health}", "the workload is not healthy"
    if image is not None and image.reference not in application.images:
        return "OldImage", f"no pod runs {image.reference} yet"
    return None


_FAILED_REASONS = {"Refused", "SyncFailed", "HealthDegraded"}


def _wait_for(
    rung: _Rung, facts: list[Fact], seen: Observation, now: datetime, deadlines: Deadlines
) -> Plan:
    """Something between the commit and the answer is not there yet, or not any more."""
    reason, message = rung.problem or ("", "")
    for_image = rung.phase is Phase.WAITING_FOR_IMAGE
    allowed = deadlines.image if for_image else deadlines.deploy
    waited = now - _waiting_since(rung, seen)
    late = waited > allowed
    if late:
        so_far = f"not so after {allowed.total_seconds() / 60:g} min, still looking"
        message = f"{message}; {so_far}" if message else so_far
    failed = late or reason in _FAILED_REASONS
    polled = for_image or rung.condition == "Answering"
    return Plan(
        phase=Phase.DEGRADED if failed and not for_image else rung.phase,
        reason=reason,
        message=message,
        facts=(*facts, Fact(type=rung.condition, status=False, reason=reason, message=message)),
        stage=None if for_image else Stage.WHOLE,
        probe=rung.condition == "Answering",
        failed=failed,
        look_again_after_seconds=(_patience(waited) if polled else LOOK_AGAIN_SLOWLY_SECONDS),
    )


def _patience(waited: timedelta) -> float:
    """The longer something has not been there, the more seldom it is asked for: a fifth later each time, in seconds."""
    return min(LOOK_AGAIN_SLOWLY_SECONDS, max(LOOK_AGAIN_SECONDS, waited.total_seconds() * 0.2))


def _waiting_since(rung: _Rung, seen: Observation) -> datetime:
    """What a deadline counts from.

    That is when there was everything that a deployment needs: the image if there is one, else the commit. A preview
    that was live with these manifests counts from its own failure instead.
    """
    since = {(c.type, c.status): c.since for c in seen.conditions}
    if seen.probe_result is not None and seen.probe_result.answered:
        return since.get((rung.condition, False), datetime.max.replace(tzinfo=UTC))
    return max(seen.head_since, since.get(("ImageFound", True), seen.head_since))

"""What green means: the conditions of a live preview, in the order in which they come true. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from previews.domain.observation import Observation
from previews.domain.preview import Application, Mode, Phase, PullRequest, Stage
from previews.domain.removal import why


@dataclass(frozen=True, slots=True)
class Rung:
    """One condition of green. It is met when there is no problem; each needs the ones before it."""

    condition: str
    phase: Phase
    """Shown while it is not met."""
    problem: tuple[str, str] | None = None
    """Reason and message."""


def wanted_mode(seen: Observation) -> Mode:
    """Asleep in one step, awake in two: its host is claimed only when its pods answer, so nobody sees an error."""
    if seen.sleep is not None:
        return Mode.ASLEEP
    if seen.manifests is None or seen.manifests.stage is not Stage.WHOLE:
        return Mode.AWAKE
    if seen.manifests.mode is Mode.ASLEEP:
        return Mode.ASLEEP if seen.place else Mode.WARMING
    return seen.manifests.mode


def rungs(pull_request: PullRequest, seen: Observation, mode: Mode) -> Iterator[Rung]:
    """What green means, in the order in which it comes true. Asked no further than the first that is not met."""
    if seen.needs_image:
        yield Rung("ImageFound", Phase.WAITING_FOR_IMAGE, _no_image(seen))
    if seen.needs_database:
        yield Rung("DatabaseReady", Phase.PROVISIONING, _no_database(seen))
    if seen.parcels is None:
        yield Rung("SecretsReady", Phase.PROVISIONING, why(seen.parcel_trouble, "SealingSecrets"))
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
    yield Rung("Pushed", Phase.PROVISIONING, None if in_git else unwritten)
    application = seen.application
    if application is None or manifests is None or application.digest != manifests.digest:
        said = "; ".join(seen.root.problems) if seen.root else ""
        yield Rung("Applied", Phase.PROVISIONING, ("WaitingForArgoCD", said))
        return
    yield Rung("Applied", Phase.PROVISIONING)
    yield Rung("Synced", Phase.DEPLOYING, _not_synced(application, seen))
    if mode is Mode.ASLEEP:
        return
    yield Rung("Healthy", Phase.DEPLOYING, _not_healthy(application, seen))
    if mode is Mode.WARMING:
        return
    if seen.needs_record:
        unnamed = None if seen.has_record else why(seen.record_trouble, "NamingTheHost")
        yield Rung("Named", Phase.DEPLOYING, unnamed)
    verdict = seen.probe
    silent = (verdict.reason, verdict.detail) if verdict else ("URLDoesNotAnswer", "")
    yield Rung("Answering", Phase.DEPLOYING, None if verdict and verdict.answered else silent)


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

"""Why a preview may not be there, and how it goes: in stages, each entered when the one before is proven. Pure."""

from dataclasses import dataclass, replace

from previews.domain.database import Trouble
from previews.domain.lifetime import MANAGER, End, EndCause
from previews.domain.observation import (
    APPLICATION_FILE,
    LOOK_AGAIN_SECONDS,
    LOOK_AGAIN_SLOWLY_SECONDS,
    Fact,
    Observation,
    Plan,
)
from previews.domain.policy import Verdict
from previews.domain.preview import Application, Phase, PullRequest, Stage

_END_MESSAGES = {
    EndCause.EXPIRED: "its time was over",
    EndCause.EVICTED: "it slept, and made room: {by}",
    EndCause.REMOVED: "removed by {by}",
}


@dataclass(frozen=True, slots=True)
class Departure:
    """Why there may be no preview."""

    cause: str
    """CamelCase, as a reason."""
    message: str
    by: str
    phase: Phase
    """What is shown when nothing is left of it."""


def departure(pull_request: PullRequest, verdict: Verdict, end: End | None) -> Departure | None:
    """Why a preview may not be there; None if it may. `verdict`: what policy says while the pull request is open."""
    if not pull_request.is_open:
        return Departure("PullRequestClosed", "pull request closed", MANAGER, Phase.REMOVED)
    if not verdict.wanted:
        return Departure(verdict.reason, verdict.message, MANAGER, Phase.BLOCKED)
    if end is not None:
        message = _END_MESSAGES[end.cause].format(by=end.by)
        return Departure(end.cause, message, end.by, Phase.EXPIRED)
    return None


def drained(by: str) -> Departure:
    """The departure of a preview whose project is no longer configured: somebody asked for it."""
    return Departure("Drained", f"removed with its project by {by}", by, Phase.REMOVED)


def is_there(seen: Observation) -> bool:
    """Whether anything of the preview exists, or was decided to."""
    decided = seen.manifests is not None and seen.manifests.stage is not Stage.NOTHING
    # What takes nobody's place, and with which nothing is lost.
    beside = replace(seen, deployments_left=None, secret_left=None, is_server_unknown=False)
    return decided or not is_gone(beside)


def is_being_removed(seen: Observation) -> bool:
    return bool(
        (seen.application and seen.application.deleting)
        or (seen.namespace and seen.namespace.deleting)
        or (seen.manifests and seen.manifests.stage is not Stage.WHOLE and not is_gone(seen))
    )


def is_gone(seen: Observation) -> bool:
    """Whether nothing of it is left anywhere, proven now."""
    left = is_left_inside(seen) or seen.has_record or seen.deployments_left
    return not (left or seen.is_server_unknown)


def is_left_inside(seen: Observation) -> bool:
    """Whether anything is left of what goes first: in the cluster, in Git, and of its database."""
    return bool(
        seen.application
        or seen.namespace
        or seen.app_project_exists
        or seen.files_in_git
        or seen.files_in_use
        or seen.database_left
        or seen.secret_left
    )


def hold(leaving: Departure, seen: Observation) -> Plan:
    return Plan(
        phase=seen.was,
        reason="BrakeHolds",
        message=f"{leaving.message}, but too many would be removed at once: a person has to confirm it",
        facts=(Fact(type="RemovalAllowed", status=False, reason="BrakeHolds"),),
        look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS,
    )


def remove(leaving: Departure, seen: Observation) -> Plan:
    """The phases of removal, each entered only when the one before is proven."""
    application, namespace = seen.application, seen.namespace
    facts = (
        Fact(type="ApplicationGone", status=application is None, reason="Observed"),
        Fact(type="NamespaceGone", status=namespace is None, reason="Observed"),
    )
    if is_gone(seen):
        return _gone(leaving, seen, facts)
    if application is not None or APPLICATION_FILE in seen.files_in_git | seen.files_in_use:
        return Plan(
            phase=Phase.REMOVING,
            reason="EndingTheWorkload",
            message=_joined(leaving.message, application.problems if application else ()),
            facts=facts,
            stage=Stage.NAMESPACE,
            end_operation=_blocks_its_deletion(application),
            refresh=_failed_to_go(application),
            refresh_root=is_root_blind(seen),
            look_again_after_seconds=(
                LOOK_AGAIN_SECONDS if application is None else LOOK_AGAIN_SLOWLY_SECONDS
            ),
        )
    others = namespace or seen.app_project_exists or seen.files_in_git | seen.files_in_use
    if not others and (last := _last(leaving, seen, facts)):
        return last
    return Plan(
        phase=Phase.REMOVING,
        reason="RemovingTheNamespace",
        message=_joined(leaving.message, namespace.problems if namespace else ()),
        facts=facts,
        stage=Stage.NOTHING,
        refresh_root=is_root_blind(seen),
        look_again_after_seconds=(
            LOOK_AGAIN_SECONDS if namespace is None else LOOK_AGAIN_SLOWLY_SECONDS
        ),
    )


def _last(leaving: Departure, seen: Observation, facts: tuple[Fact, ...]) -> Plan | None:
    """What goes when nothing that could use it is there any more, one after the other."""
    if seen.secret_left:
        gone = _drop(
            leaving, facts, "SecretGone", why(seen.trouble, "TakingOutTheSecret"), seen.trouble
        )
        return replace(gone, withdraw_secret=True)
    rest = seen.has_record or seen.deployments_left
    if seen.database_left or (seen.is_server_unknown and not rest):
        gone = _drop(
            leaving, facts, "DatabaseGone", why(seen.trouble, "DroppingTheDatabase"), seen.trouble
        )
        return replace(gone, drop_database=True)
    if seen.has_record:
        gone = _drop(
            leaving,
            facts,
            "RecordGone",
            why(seen.record_trouble, "RemovingTheName"),
            seen.record_trouble,
        )
        return replace(gone, drop_record=True)
    if seen.deployments_left:
        gone = _drop(
            leaving,
            facts,
            "DeploymentsGone",
            why(seen.deployment_trouble, "RemovingDeployments"),
            seen.deployment_trouble,
        )
        return replace(gone, drop_deployments=True)
    return None


def why(trouble: Trouble | None, otherwise: str) -> tuple[str, str]:
    """Reason and message of something that is not done yet."""
    return (trouble.reason, trouble.message) if trouble else (otherwise, "")


def _drop(
    leaving: Departure,
    facts: tuple[Fact, ...],
    fact: str,
    said: tuple[str, str],
    trouble: Trouble | None,
) -> Plan:
    """Last of all: nothing that could use it is there any more."""
    reason, message = said
    return Plan(
        phase=Phase.REMOVING,
        reason=reason,
        message=_joined(leaving.message, (message,) if message else ()),
        facts=(*facts, Fact(type=fact, status=False, reason="Observed")),
        stage=Stage.NOTHING,
        failed=trouble is not None and trouble.is_stalled,
        look_again_after_seconds=LOOK_AGAIN_SLOWLY_SECONDS if trouble else LOOK_AGAIN_SECONDS,
    )


def is_root_blind(seen: Observation) -> bool:
    """Whether Argo CD's last comparison of the shard failed. It tries again by itself only minutes later."""
    return seen.root is not None and seen.root.sync == "Unknown"


def _gone(leaving: Departure, seen: Observation, facts: tuple[Fact, ...]) -> Plan:
    if leaving.phase is not Phase.REMOVED:
        return Plan(
            phase=leaving.phase,
            reason=leaving.cause,
            message=leaving.message,
            facts=() if seen.manifests is None else facts,
            stage=None if seen.manifests is None else Stage.NOTHING,
        )
    return Plan(
        phase=Phase.REMOVED,
        reason="NothingLeft",
        message=_what_is_gone(seen),
        facts=(*facts, Fact(type="Removed", status=True, reason="NothingLeft")),
        stage=Stage.NOTHING,
    )


def _what_is_gone(seen: Observation) -> str:
    things = ["Application", "namespace", "AppProject", "files in Git"]
    if seen.database_left is not None:
        things += ["database", "role"]
    if seen.secret_left is not None:
        things.append("secret in its store")
    if seen.has_record is not None:
        things.append("DNS record")
    if seen.deployments_left is not None:
        things.append("deployments")
    return f"{', '.join(things[:-1])} and {things[-1]} are gone"


def _blocks_its_deletion(application: Application | None) -> bool:
    return bool(
        application and application.deleting and application.operation_phase in {"Running", "Error"}
    )


def _failed_to_go(application: Application | None) -> bool:
    """Argo CD tries a deletion that failed again only minutes later, also when the cause is mended."""
    return application is not None and any("DeletionError" in each for each in application.problems)


def _joined(why: str, problems: tuple[str, ...]) -> str:
    return "; ".join((why, *problems))

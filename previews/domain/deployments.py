"""Which deployment a forge should show of a preview, and whose a deployment is. Pure.

What is shown only ever goes on: queued, in progress, and then how it went. A forge counts requests, so what a preview
passes through again after that, such as a rollout of a changed template, is not shown.
"""

import hashlib
from dataclasses import dataclass
from typing import Self

from previews.domain.feedback import Deployment, DeploymentState
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord

TASK_PREFIX = "previews:"
ENVIRONMENT_PREFIX = "preview/"
TARGET_PREFIX = "deployment:"
_UNKNOWN = "-"
_DIGEST_LENGTH = 16

_STATES = {
    Phase.QUEUED: DeploymentState.QUEUED,
    Phase.WAITING_FOR_IMAGE: DeploymentState.QUEUED,
    Phase.PROVISIONING: DeploymentState.IN_PROGRESS,
    Phase.DEPLOYING: DeploymentState.IN_PROGRESS,
    Phase.LIVE: DeploymentState.SUCCESS,
    # A visit wakes it: to whoever opens its address it is there.
    Phase.ASLEEP: DeploymentState.SUCCESS,
    Phase.WAKING: DeploymentState.SUCCESS,
    Phase.DEGRADED: DeploymentState.FAILURE,
}
"""A preview in any other phase is not there, or goes: then its deployments go as well, and nothing new is said."""

_DESCRIPTIONS = {
    DeploymentState.QUEUED: "Waiting for its image, or for its turn",
    DeploymentState.IN_PROGRESS: "On its way",
    DeploymentState.SUCCESS: "Live",
    DeploymentState.FAILURE: "Not working: the pull request says why",
    DeploymentState.INACTIVE: "Not deployed any more",
}
"""They say nothing that changes by itself: each new word would be one more request."""

_RANKS = {DeploymentState.QUEUED: 0, DeploymentState.IN_PROGRESS: 1}
_FINAL_RANK = 2


def task_of(instance: str, key: PreviewKey) -> str:
    """How the deployments of one preview are found again, and told from everybody else's."""
    return f"{TASK_PREFIX}{instance}:{key}"


def owner_of(instance: str, task: str) -> PreviewKey | None:
    """The preview whose deployment has this task; None for anybody else's."""
    prefix = f"{TASK_PREFIX}{instance}:"
    if not task.startswith(prefix):
        return None
    try:
        key = PreviewKey.parse(task.removeprefix(prefix))
    except ValueError:
        return None
    return key if task == task_of(instance, key) else None


def environment_of(project: str) -> str:
    """One for each project, however many previews it has."""
    return f"{ENVIRONMENT_PREFIX}{project}"


def target_of(project: str) -> str:
    """Under which name the store remembers what was shown."""
    return f"{TARGET_PREFIX}{project}"


def deployment_of(
    instance: str, record: PreviewRecord, *, url: str, log_url: str = ""
) -> Deployment | None:
    """What should be shown of a preview; None where nothing new is to be said."""
    state, pull_request = state_of(record), record.pull_request
    if state is None or pull_request is None:
        return None
    return Deployment(
        task=task_of(instance, record.key),
        environment=environment_of(record.key.project),
        head_sha=pull_request.head_sha,
        state=state,
        description=_DESCRIPTIONS[state],
        environment_url=url if state is DeploymentState.SUCCESS else "",
        log_url=log_url,
    )


def state_of(record: PreviewRecord) -> DeploymentState | None:
    """How its deployment stands; None for a preview that is not wanted, or of which nothing is known yet.

    None for a fork as well: GitHub runs the workflows of the very commit that a deployment names, with the repository's
    own secrets. To approve a fork's preview is not to trust its workflows.
    """
    pull_request = record.pull_request
    if pull_request is None or not pull_request.is_open or pull_request.from_fork:
        return None
    if not record.reason:
        return None
    state = _STATES.get(record.phase)
    return DeploymentState.FAILURE if state is not None and record.failed else state


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was last shown of a preview, as the store remembers it."""

    head_sha: str = ""
    state: DeploymentState | None = None
    """None while an answer is missing: it may be what was shown before, or what was to be shown."""
    digest: str = ""
    id: int | None = None
    """None while it is not known whether this commit's deployment is there."""

    @classmethod
    def of(cls, deployment: Deployment, deployment_id: int) -> Self:
        return cls(
            head_sha=deployment.head_sha,
            state=deployment.state,
            digest=_digest(deployment),
            id=deployment_id,
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `__str__` wrote. Of anything else nothing is known."""
        try:
            head_sha, state, digest, number = text.split(" ")
            return cls(
                head_sha="" if head_sha == _UNKNOWN else head_sha,
                state=None if state == _UNKNOWN else DeploymentState(state),
                digest="" if digest == _UNKNOWN else digest,
                id=None if number == _UNKNOWN else int(number),
            )
        except ValueError:
            return cls()

    def __str__(self) -> str:
        number = _UNKNOWN if self.id is None else self.id
        parts = (self.head_sha or _UNKNOWN, self.state or _UNKNOWN, self.digest or _UNKNOWN, number)
        return " ".join(map(str, parts))

    def is_worth(self, wanted: Deployment) -> bool:
        """Whether `wanted` is to be shown now."""
        if self.head_sha != wanted.head_sha or self.state is None:
            return True
        return _rank(wanted.state) >= _rank(self.state) and self.digest != _digest(wanted)


def _rank(state: DeploymentState) -> int:
    return _RANKS.get(state, _FINAL_RANK)


def _digest(deployment: Deployment) -> str:
    text = f"{deployment.state}\n{deployment.environment_url}\n{deployment.log_url}"
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]

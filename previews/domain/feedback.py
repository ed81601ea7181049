"""What a forge can show beside a comment and a commit status: check runs and deployments."""

from dataclasses import dataclass
from enum import StrEnum

from previews.domain.preview import HeadSha


class CommentMode(StrEnum):
    """When a project's previews are shown in the comment on a pull request."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    """From the first failure on: a comment that is there is kept true."""
    OFF = "off"


class CheckState(StrEnum):
    """A check run's status while it goes on, and its conclusion when it is over."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    """There is no preview, and nobody has to do anything about it."""

    @property
    def is_final(self) -> bool:
        return self not in {CheckState.QUEUED, CheckState.IN_PROGRESS}


TITLE_LENGTH_MAX = 140
TEXT_LENGTH_MAX = 65_535
"""GitHub's limit for a check run's summary, and for its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run. Its name is stable, so that a branch rule can require it."""

    name: str
    """`preview/<project>`."""
    external_id: str
    """The instance and the preview: how a check run of ours is found again."""
    head_sha: HeadSha
    state: CheckState
    title: str
    summary: str
    """Markdown: the phases."""
    text: str
    """Markdown: the last lines of what failed; empty if nothing did."""
    details_url: str
    """Empty: the forge's own page."""


class DeploymentState(StrEnum):
    """A deployment's newest status."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One commit of one preview, as a forge shows what is deployed where."""

    task: str
    """The instance and the preview: how a preview's deployments are found again."""
    environment: str
    """One for each project, whatever the number of its previews."""
    head_sha: HeadSha
    state: DeploymentState
    description: str
    """At most 140 characters."""
    environment_url: str
    """Empty unless the preview answers."""
    log_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedDeployment:
    """A deployment as the forge gives it."""

    id: int
    task: str
    environment: str
    head_sha: str

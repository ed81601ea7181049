"""What the core needs of a forge. Adapters implement it; so does the fake in tests/fakes.

What some forges cannot do is a part of its own, which is None there: nothing else asks which forge it is. All methods
raise as `ports` says; an answer that is not proven to be whole raises TransientError, and is never an absence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.domain.feedback import Check, Deployment, DeploymentState, PostedDeployment
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import CommitStatus

FILE_BYTES_MAX = 64 * 1024
"""Of a file that is read: far more than any such file has to be."""


@dataclass(frozen=True, slots=True)
class ChangedPaths:
    """The files that a pull request changes, from the repository's root; the old names of renamed ones as well."""

    paths: frozenset[str]
    is_whole: bool
    """False when there are more than the forge tells: then any path may have changed."""


class Checks(Protocol):
    """Check runs: only a GitHub App has them."""

    def ensure_check(self, repository: str, check: Check, known_id: int | None) -> int:
        """Create or update the check run of this name on this commit, and come back with its id.

        `known_id` is what an earlier call came back with for this commit; None: look for one of ours first.
        """
        ...

    def page_of(self, pull_request: PullRequest, check_id: int) -> str:
        """Where people read a check run of a pull request's head. Asks nobody."""
        ...


class Deployments(Protocol):
    """What is deployed where, as the forge's own pages and other people's workflows show it."""

    def ensure_deployment(
        self, repository: str, deployment: Deployment, known_id: int | None
    ) -> int:
        """Create the deployment of this commit unless it is there, and give it its state. Comes back with its id."""
        ...

    def list_deployments(self, repository: str, task: str = "") -> Sequence[PostedDeployment]:
        """Those of one task; all that may be anybody's if it is empty."""
        ...

    def set_deployment_state(
        self, repository: str, deployment_id: int, state: DeploymentState
    ) -> None:
        """Say how it stands, with nothing else. Nothing happens if it is gone."""
        ...

    def remove_deployment(self, repository: str, deployment_id: int) -> None:
        """Have it inactive, and then gone. Nothing happens if it is gone already."""
        ...

    def remove_environment(self, repository: str, environment: str) -> None:
        """Take away what a project's deployments were shown under, and what people set on it."""
        ...


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A webhook delivery that the forge could not bring."""

    id: int
    guid: str
    delivered_at: datetime


class Redeliveries(Protocol):
    """The forge's own list of what it could not deliver."""

    def list_failed_deliveries(self, since: datetime) -> Sequence[FailedDelivery]:
        """The last attempt of each delivery since then, of those that failed; the oldest first."""
        ...

    def redeliver(self, delivery_id: int) -> None:
        """Ask for one more attempt."""
        ...


class Forge(Protocol):
    """Where pull requests live."""

    @property
    def checks(self) -> Checks | None:
        """None: commit statuses are set instead."""
        ...

    @property
    def deployments(self) -> Deployments | None: ...

    @property
    def redeliveries(self) -> Redeliveries | None:
        """None: a resync alone finds what was lost."""
        ...

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        """The pull request as it is now; None only when the forge itself answers that there is none."""
        ...

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        """Every open pull request. A list that cannot be proven complete raises TransientError instead."""
        ...

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        """What a pull request changes, at its present head."""
        ...

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        """A file in the root of a branch, as text; None only when it is proven not to be there.

        Raises StalledError for one that is no text, or larger than `FILE_BYTES_MAX`.
        """
        ...

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[PostedComment]:
        """The comments of a pull request that were written or changed since then; the oldest first."""
        ...

    def permission_of(self, repository: str, login: str) -> Permission:
        """What a person may do in a repository; `NONE` for one whom the forge does not know."""
        ...

    def react(self, repository: str, number: int, comment_id: int, reaction: Reaction) -> None:
        """Put a reaction of ours on a comment. Nothing happens if it is there, or if the comment is gone."""
        ...

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        """Put a status on a commit; the newest of a context counts."""
        ...

    def ensure_comment(
        self, repository: str, number: int, *, marker: str, body: str, known_id: int | None = None
    ) -> int:
        """Create or update our one comment, found by `marker` and its author; write nothing if it reads so already.

        `known_id` is what an earlier call came back with: then nothing is looked for unless that comment is gone.
        """
        ...

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        """Git's blob id of every file below a folder at a commit, by path from the repository's root.

        Empty if that commit has no such folder. A list that cannot be proven complete, or a commit that the forge does
        not know, raises TransientError.
        """
        ...

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        """What builds this commit: the one that failed, or else the one that is still at work, or else the last.

        None if the forge knows of nothing. What a manager says of a preview builds nothing.
        """
        ...

    def check(self) -> None:
        """Make one cheap authenticated request, for readiness."""
        ...

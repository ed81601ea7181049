"""What a forge in memory holds: the nouns of ForgeWorld."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from previews.domain.conversation import Permission, PostedComment
from previews.domain.feedback import Check
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import CommitStatus

DESCRIPTION_LENGTH_MAX = 140
COMMENT_LENGTH_MAX = 65_536
STATUSES_MAX = 1000
"""Of one context of one commit."""
OWN_LOGIN = "previews-bot"
"""The user that the manager's token belongs to."""
APP_LOGIN = "previews-app[bot]"
"""Whom everybody sees where the manager is a GitHub App."""
DEVELOPER = "octo-dev"
"""Who does everything for which nobody else is named."""


class RefusedError(Exception):
    """The forge does not do what was asked, with the HTTP status that it would say."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def is_bot(login: str) -> bool:
    """As GitHub names the accounts of its Apps."""
    return login.endswith("[bot]")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPullRequest:
    id: int
    repository: str
    repository_id: int
    number: int
    branch: str
    title: str
    author: str
    head_sha: HeadSha
    head_repository: str | None
    """None when it is gone."""
    created_at: datetime
    updated_at: datetime
    is_open: bool = True
    is_draft: bool = False
    base_branch: str = "main"
    base_files: Mapping[str, str] = field(default_factory=dict)
    """Those of the commit that it branched off from: Git's blob id by path."""
    labels: tuple[str, ...] = ()
    """As people see them: in the order in which they were set."""

    def seen(self) -> PullRequest:
        """As an adapter gives it."""
        head = (self.head_repository or "").casefold()
        return PullRequest(
            repository=self.repository,
            number=self.number,
            is_open=self.is_open,
            head_sha=self.head_sha,
            head_branch=self.branch,
            base_branch=self.base_branch,
            title=self.title,
            author=self.author,
            url=f"https://github.com/{self.repository}/pull/{self.number}",
            from_fork=head != self.repository.casefold(),
            labels=tuple(sorted(self.labels)),
            is_draft=self.is_draft,
            author_is_bot=is_bot(self.author),
            repository_id=self.repository_id,
            updated_at=self.updated_at,
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A comment as everybody sees it."""

    id: int
    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    id: int
    repository_id: int
    number: int
    author: str
    body: str
    created_at: datetime
    updated_at: datetime
    reactions: tuple[tuple[str, str], ...] = ()
    """Who, and what; each only once."""

    def seen(self, own_login: str) -> PostedComment:
        """As an adapter gives it."""
        return PostedComment(
            id=self.id,
            author=self.author,
            is_ours=self.author == own_login,
            is_of_bot=is_bot(self.author),
            body=self.body,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


@dataclass(frozen=True, slots=True)
class HeldCheck:
    """A check run of the manager's."""

    id: int
    check: Check
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    id: int
    state: str
    description: str
    environment_url: str
    log_url: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDeployment:
    id: int
    creator: str
    task: str
    environment: str
    head_sha: str
    description: str
    created_at: datetime
    statuses: tuple[DeploymentStatus, ...] = ()
    """The oldest first."""

    @property
    def state(self) -> str:
        """What its newest status says; empty before the first."""
        return self.statuses[-1].state if self.statuses else ""


@dataclass(slots=True)
class Repository:
    id: int
    name: str
    visible: bool = True
    """Whether the manager's token may see it."""
    pull_requests: dict[int, WorldPullRequest] = field(default_factory=dict)
    deleted: dict[int, WorldPullRequest] = field(default_factory=dict)
    """Pull requests that the forge knows no more. Nobody else gets their numbers."""
    branches: dict[str, Mapping[str, str]] = field(default_factory=lambda: {"main": {}})
    """The files at the tip of those that pull requests may be into: Git's blob id by path."""
    commits: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """The files of each commit of a pull request, likewise."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """What is in each file, by Git's blob id."""
    statuses: list[tuple[str, CommitStatus]] = field(default_factory=list)
    runs: list[tuple[str, CIRun]] = field(default_factory=list)
    """What CI does for commits, the oldest first."""
    permissions: dict[str, Permission] = field(
        default_factory=lambda: {DEVELOPER: Permission.WRITE}
    )
    checks: dict[int, HeldCheck] = field(default_factory=dict)
    deployments: dict[int, HeldDeployment] = field(default_factory=dict)
    environments: set[str] = field(default_factory=set)


def blob_id(content: str | bytes) -> str:
    """As Git gives it to a file."""
    held = content.encode() if isinstance(content, str) else content
    return hashlib.sha1(b"blob %d\0%b" % (len(held), held)).hexdigest()

"""What a GitHub App needs, and why: the manifest, the narrowed tokens, the doctor and docs/github-app.md all say this.

A permission is added here only together with the request or the event that needs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

READ: Final = "read"
WRITE: Final = "write"
_RANKS: Final = ("", READ, WRITE, "admin")


@dataclass(frozen=True, slots=True)
class Permission:
    """One of the repository permissions, as GitHub's API names it."""

    name: str
    access: str
    title: str
    """As GitHub's pages name it."""
    why: str


PERMISSIONS: Final = (
    Permission("metadata", READ, "Metadata", "the repository itself; who may write to it"),
    Permission(
        "pull_requests",
        WRITE,
        "Pull requests",
        "pull requests, the paths that they change and what is said on them; the comment, replies and reactions",
    ),
    Permission(
        "issues",
        READ,
        "Issues",
        "the event `issue_comment`, which GitHub counts to issues on pull requests as well: no issue is read",
    ),
    Permission(
        "checks", WRITE, "Checks", "the check run of each preview; checks of a CI elsewhere"
    ),
    Permission(
        "deployments", WRITE, "Deployments", "where each preview is deployed, and how it stands"
    ),
    Permission(
        "contents",
        READ,
        "Contents",
        "`.previews.yaml` on the base branch; which files of a migration changed",
    ),
    Permission("actions", READ, "Actions", "which workflow builds an image, and how far it is"),
)
"""Of every App that works for a manager."""

ENVIRONMENTS: Final = Permission(
    "administration",
    WRITE,
    "Administration",
    "deleting a project's environment when the project is drained, which GitHub allows to nothing less",
)
"""Left out unless it is asked for: it allows far more than that."""

EVENTS: Final[Mapping[str, str]] = {
    "pull_request": "a pull request was opened, pushed to, labelled or closed",
    "issue_comment": "somebody gave a command",
    "push": "a base branch may hold another `.previews.yaml` now",
    "check_run": "somebody wants a check run again, or a CI elsewhere has come further",
    "check_suite": "the same of all checks of a commit",
    "workflow_run": "a workflow that builds an image has come further",
}
"""What is delivered, and what for. `installation` and its like come without being asked for, and are refused here."""


def wanted(*, environments: bool = False) -> dict[str, str]:
    """Access by permission, as a manifest or a token's request has it."""
    every = (*PERMISSIONS, ENVIRONMENTS) if environments else PERMISSIONS
    return {each.name: each.access for each in every}


def lacking(granted: Mapping[str, str]) -> list[Permission]:
    """What has to be granted besides."""
    return [each for each in PERMISSIONS if _rank(granted.get(each.name, "")) < _rank(each.access)]


def granted_of(wished: Mapping[str, str], granted: Mapping[str, str]) -> dict[str, str]:
    """As much of what is wished for as was granted: a token cannot have more, and needs no more."""
    return {
        name: min(access, granted[name], key=_rank)
        for name, access in wished.items()
        if _rank(granted.get(name, ""))
    }


def _rank(access: str) -> int:
    return _RANKS.index(access) if access in _RANKS else 0

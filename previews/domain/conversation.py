"""What people and the manager say to each other on a pull request. Every text of a person is data from a stranger."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Permission(StrEnum):
    """What a person may do in a repository, asked of the forge's API and never guessed from a comment's label."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    @property
    def may_write(self) -> bool:
        return self in {Permission.WRITE, Permission.ADMIN}


class Reaction(StrEnum):
    """How a command is acknowledged, in a word that every forge knows."""

    DONE = "+1"
    REFUSED = "confused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedComment:
    """One comment on a pull request, as the forge gives it."""

    id: int
    author: str
    is_ours: bool
    """Whether the manager's own account wrote it."""
    is_of_bot: bool
    """Whether the forge itself says that no person wrote it."""
    body: str
    created_at: datetime
    updated_at: datetime

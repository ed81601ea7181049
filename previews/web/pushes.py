"""What a forge's `push` says: the repository and the branch. That branch may be the base of pull requests.

The commits that it names are not looked at: what a branch holds now is read from the forge.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

REF_LENGTH_MAX = 1000
_BRANCHES = "refs/heads/"


class _Named(BaseModel):
    full_name: str


class PushPayload(BaseModel):
    """All that is read of a `push`."""

    ref: Annotated[str, Field(max_length=REF_LENGTH_MAX)]
    repository: _Named


@dataclass(frozen=True, slots=True)
class PushNews:
    """Somebody pushed to a branch."""

    repository: str
    branch: str


def read_push(payload: PushPayload) -> PushNews | None:
    """None for a tag, and for whatever else is no branch."""
    branch = payload.ref.removeprefix(_BRANCHES)
    if branch in {payload.ref, ""}:
        return None
    return PushNews(payload.repository.full_name, branch)

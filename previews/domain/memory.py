"""What the store remembers of a preview, as far as it decides about what was found of it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from previews.domain.deployments import state_of
from previews.domain.preview import Stage
from previews.domain.record import PreviewRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the store remembers of one preview, as far as it counts here."""

    removing_since: datetime | None = None
    """A removal that is not finished."""
    ended: str = ""
    """Why it was taken away, if it was and has not come back."""
    holds_shard: bool = True
    """Whether it has, or may yet get, files in its shard."""
    is_shown: bool = False
    """Whether its forge is to show how it stands: it is there, or on its way."""
    repository_id: int = 0
    """Of its pull request's repository, as far as the forge has said; 0 if it has not."""


def memory_of(record: PreviewRecord) -> Memory:
    """What a record says about its preview's objects."""
    removal, manifests = record.removal, record.manifests
    stage = manifests.stage if manifests else None
    has_files = stage in {Stage.WHOLE, Stage.NAMESPACE}
    since, ended = None, ""
    # The removal of one that has come back is over, whatever its receipt says; also of one that has no files yet.
    if removal is not None and stage is not Stage.WHOLE:
        if removal.finished_at is None:
            since = removal.started_at
        elif record.is_gone and not has_files:
            ended = f"{removal.cause} by {removal.by}"
    pull_request = record.pull_request
    may_come = pull_request is None or pull_request.is_open
    return Memory(
        removing_since=since,
        ended=ended,
        holds_shard=has_files or may_come,
        is_shown=state_of(record) is not None,
        repository_id=pull_request.repository_id if pull_request else 0,
    )

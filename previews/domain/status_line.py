"""The commit status: one line beside the commit, for forges and tokens that have no check runs. Pure."""

from previews.domain.markdown import cut, plain
from previews.domain.naming import short_sha
from previews.domain.preview import HeadSha, Phase
from previews.domain.record import STATUS_PREFIX, CommitStatus, StatusState
from previews.domain.subject import Subject

DESCRIPTION_LENGTH_MAX = 140
"""GitHub's limit for a commit status."""

_FINAL = {Phase.LIVE, Phase.ASLEEP, Phase.WAKING, Phase.EXPIRED, Phase.REMOVED, Phase.BLOCKED}
"""Nothing is wrong with the pull request, and nothing has to be waited for: a visit wakes what sleeps."""


def commit_status(subject: Subject) -> CommitStatus:
    """How one preview stands. Every pending status ends in one that is not."""
    if subject.fails:
        state = StatusState.FAILURE
    else:
        final = subject.record.phase in _FINAL
        state = StatusState.SUCCESS if final else StatusState.PENDING
    return CommitStatus(
        context=status_context(subject.record.key.project),
        state=state,
        description=cut(plain(subject.headline), DESCRIPTION_LENGTH_MAX),
        target_url=subject.address,
    )


def status_context(project: str) -> str:
    """The name that a branch rule can require, of a status and of a check run."""
    return f"{STATUS_PREFIX}{project}"


def superseded(status: CommitStatus, by: HeadSha) -> CommitStatus:
    """What an older commit is left with, whose preview was not live yet when the next one came."""
    return CommitStatus(
        context=status.context,
        state=StatusState.FAILURE,
        description=superseded_line(by),
        target_url="",
    )


def superseded_line(by: HeadSha) -> str:
    """Why nothing more will be said of a commit."""
    return f"Superseded by {short_sha(by)} before it was live"

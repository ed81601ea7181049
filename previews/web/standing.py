"""What a visitor is told under a preview's host, from the preview's record."""

from collections.abc import Callable, Iterable

from previews.domain.hosts import fold_host
from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.web.waiting import Standing, State

_STATES = {
    Phase.BLOCKED: State.BLOCKED,
    Phase.QUEUED: State.QUEUED,
    Phase.WAITING_FOR_IMAGE: State.STARTING,
    Phase.PROVISIONING: State.STARTING,
    Phase.DEPLOYING: State.STARTING,
    # Its own Ingress is not taken up yet: whoever asks again gets the application.
    Phase.LIVE: State.WAKING,
    Phase.DEGRADED: State.PROBLEM,
    Phase.ASLEEP: State.ASLEEP,
    Phase.WAKING: State.WAKING,
    Phase.EXPIRED: State.EXPIRED,
    Phase.REMOVING: State.REMOVED,
    Phase.REMOVED: State.REMOVED,
}
_WENT = {Phase.EXPIRED, Phase.REMOVING, Phase.REMOVED}
_CAUSES = {
    "PullRequestClosed": State.CLOSED,
    "Expired": State.EXPIRED,
    # What was there before is taken away first.
    "Reopened": State.STARTING,
}
_SAYS_WHY = {State.QUEUED}
"""Of all others the reason has words that are for who may see the pull request: the end of a log, or a title."""


def finder(
    projects: Iterable[Project], load: Callable[[PreviewKey], PreviewRecord | None]
) -> Callable[[str], Standing | None]:
    """Looks up how it stands with the preview of a host; None if there never was one."""
    known = [(project.name, project.host_rule()) for project in projects]

    def find(asked: str) -> Standing | None:
        host = fold_host(asked)
        for name, rule in known:
            number = rule.number_in(host)
            record = load(PreviewKey(name, number)) if number is not None else None
            if record is not None:
                return standing_of(record)
        return None

    return find


def standing_of(record: PreviewRecord) -> Standing:
    """How it stands with a preview that does not answer itself. Nobody's name is told: its host is for everybody."""
    state = _STATES[record.phase]
    if state is State.ASLEEP and record.reason == "Queued":
        state = State.QUEUED
    since = None
    if record.phase in _WENT and record.removal is not None:
        state = _CAUSES.get(record.removal.cause, State.REMOVED)
        since = record.removal.started_at if state is not State.STARTING else None
    return Standing(
        key=record.key,
        state=state,
        message=record.message if state in _SAYS_WHY else "",
        since=since,
        pull_request_url=record.pull_request.url if record.pull_request else "",
    )

"""What a visitor is told under a preview's host, from the preview's record."""

from collections.abc import Callable, Iterable

from previews.domain.naming import number_in_host
from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.web.waiting import Standing, State

_STATES = {
    Phase.BLOCKED: State.ENDED,
    Phase.QUEUED: State.QUEUED,
    Phase.WAITING_FOR_IMAGE: State.STARTING,
    Phase.PROVISIONING: State.STARTING,
    Phase.DEPLOYING: State.STARTING,
    # Its own Ingress is not taken up yet: whoever asks again gets the application.
    Phase.LIVE: State.WAKING,
    Phase.DEGRADED: State.PROBLEM,
    Phase.ASLEEP: State.ASLEEP,
    Phase.WAKING: State.WAKING,
    Phase.EXPIRED: State.ENDED,
    Phase.REMOVING: State.ENDED,
    Phase.REMOVED: State.ENDED,
}
_SAYS_WHY = {State.ENDED, State.PROBLEM, State.QUEUED}


def finder(
    projects: Iterable[Project], load: Callable[[PreviewKey], PreviewRecord | None]
) -> Callable[[str], Standing | None]:
    """Looks up how it stands with the preview of a host; None if there never was one."""
    known = tuple(projects)

    def find(host: str) -> Standing | None:
        for project in known:
            number = number_in_host(host, project.host_pattern, project.name)
            record = load(PreviewKey(project.name, number)) if number is not None else None
            if record is not None:
                return standing_of(record)
        return None

    return find


def standing_of(record: PreviewRecord) -> Standing:
    """How it stands with a preview that does not answer itself."""
    state = _STATES[record.phase]
    if state is State.ASLEEP and record.reason == "Queued":
        state = State.QUEUED
    message = record.message if state in _SAYS_WHY else ""
    if record.phase in {Phase.REMOVING, Phase.REMOVED}:
        message = "Its pull request was closed, or somebody removed it."
    return Standing(
        key=record.key,
        state=state,
        message=message,
        pull_request_url=record.pull_request.url if record.pull_request else "",
    )

"""What a visitor is told under a host, by whose host it is and how it stands with the preview."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord, Removal
from previews.web.standing import finder, standing_of
from previews.web.waiting import Standing, State
from tests.unit.rendering import KEY, PROJECT, PULL_REQUEST

SHOP = replace(PROJECT, services=("api",))
WIKI = replace(
    PROJECT,
    name="wiki",
    host_pattern="wiki-{number}.preview.example",
    host_key=b"0123456789abcdef",
)
WENT = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
RECORDS = {
    key: PreviewRecord(key=key, pull_request=PULL_REQUEST, phase=Phase.ASLEEP)
    for key in (KEY, PreviewKey("wiki", 7))
}


def find(host: str, *projects: Project) -> Standing | None:
    return finder(projects or (SHOP, WIKI), RECORDS.get)(host)


@pytest.mark.parametrize(
    "host",
    [
        "pr-42.preview.example",
        "pr-42-api.preview.example",
        "PR-42.Preview.Example.",
        "pr-42.preview.example:8443",
    ],
)
def test_every_host_of_a_preview_leads_to_it(host: str) -> None:
    found = find(host)
    assert found is not None
    assert (found.key, found.state) == (KEY, State.ASLEEP)


@pytest.mark.parametrize(
    "host",
    [
        "pr-43.preview.example",
        "pr-42-admin.preview.example",
        "wiki-7.preview.example",
        "wiki-7-aaaaaaaa.preview.example",
        "pr-\uff14\uff12.preview.example",
        "api.pr-42.preview.example",
        "",
    ],
)
def test_no_other_host_leads_anywhere(host: str) -> None:
    assert find(host) is None


def test_an_unguessable_host_is_found_by_who_was_told_it() -> None:
    found = find(WIKI.names(7).host)
    assert found is not None
    assert found.key == PreviewKey("wiki", 7)


def went(phase: Phase, cause: str) -> Standing:
    removal = Removal(cause=cause, by="alice", started_at=WENT)
    return standing_of(
        PreviewRecord(key=KEY, phase=phase, removal=removal, message="removed by alice")
    )


@pytest.mark.parametrize(
    ("phase", "cause", "state"),
    [
        (Phase.REMOVING, "PullRequestClosed", State.CLOSED),
        (Phase.REMOVED, "PullRequestClosed", State.CLOSED),
        (Phase.REMOVING, "Expired", State.EXPIRED),
        (Phase.EXPIRED, "Expired", State.EXPIRED),
        (Phase.EXPIRED, "RemovedByHand", State.REMOVED),
        (Phase.EXPIRED, "Evicted", State.REMOVED),
        (Phase.REMOVED, "Drained", State.REMOVED),
    ],
)
def test_whoever_comes_too_late_hears_what_happened_and_when(
    phase: Phase, cause: str, state: State
) -> None:
    told = went(phase, cause)
    assert (told.state, told.since) == (state, WENT)


def test_nobodys_name_is_told_to_whoever_asks() -> None:
    assert went(Phase.EXPIRED, "RemovedByHand").message == ""


def test_a_preview_that_comes_back_is_waited_for() -> None:
    told = went(Phase.REMOVING, "Reopened")
    assert (told.state, told.since) == (State.STARTING, None)


def test_the_receipt_of_an_earlier_removal_says_nothing_of_what_lives_again() -> None:
    removal = Removal(cause="Expired", by="previews", started_at=WENT)
    record = PreviewRecord(key=KEY, phase=Phase.ASLEEP, removal=removal)
    assert standing_of(record).state is State.ASLEEP
    assert standing_of(record).since is None


@pytest.mark.parametrize(
    ("phase", "state"), [(Phase.BLOCKED, State.BLOCKED), (Phase.DEGRADED, State.PROBLEM)]
)
def test_what_is_for_the_pull_request_alone_is_not_told_on_the_internet(
    phase: Phase, state: State
) -> None:
    record = PreviewRecord(key=KEY, phase=phase, message="crashed: 'dsn=internal-host'")
    told = standing_of(record)
    assert (told.state, told.message) == (state, "")

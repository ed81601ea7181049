"""Which deployment a forge should show of a preview, whose a deployment is, and what is worth a request."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.deployments import (
    Shown,
    deployment_of,
    environment_of,
    owner_of,
    state_of,
    target_of,
    task_of,
)
from previews.domain.feedback import Deployment, DeploymentState
from previews.domain.preview import HeadSha, Phase, PreviewKey
from previews.domain.record import PreviewRecord
from tests.unit.test_plan import KEY, OPEN

URL = "https://shop-pr-7.preview.example/"
RECORD = PreviewRecord(key=KEY, pull_request=OPEN, phase=Phase.LIVE, reason="Live")
NEXT_SHA = HeadSha("f" * 40)


def shown(record: PreviewRecord) -> Deployment:
    found = deployment_of("acme", record, url=URL, log_url="https://logs.example/")
    assert found is not None
    return found


def at(phase: Phase, *, failed: bool = False) -> PreviewRecord:
    return replace(RECORD, phase=phase, failed=failed)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.QUEUED, DeploymentState.QUEUED),
        (Phase.WAITING_FOR_IMAGE, DeploymentState.QUEUED),
        (Phase.PROVISIONING, DeploymentState.IN_PROGRESS),
        (Phase.DEPLOYING, DeploymentState.IN_PROGRESS),
        (Phase.LIVE, DeploymentState.SUCCESS),
        (Phase.ASLEEP, DeploymentState.SUCCESS),
        (Phase.WAKING, DeploymentState.SUCCESS),
        (Phase.DEGRADED, DeploymentState.FAILURE),
        (Phase.BLOCKED, None),
        (Phase.REMOVING, None),
        (Phase.EXPIRED, None),
        (Phase.REMOVED, None),
    ],
)
def test_each_phase_has_its_state(phase: Phase, state: DeploymentState | None) -> None:
    assert state_of(at(phase)) == state


def test_every_phase_is_thought_of() -> None:
    said = {phase for phase in Phase if state_of(at(phase)) is not None}
    assert said | {Phase.BLOCKED, Phase.REMOVING, Phase.EXPIRED, Phase.REMOVED} == set(Phase)


def test_a_commit_whose_image_is_late_fails() -> None:
    assert state_of(at(Phase.WAITING_FOR_IMAGE, failed=True)) is DeploymentState.FAILURE


def test_a_preview_that_is_blocked_fails_nothing() -> None:
    assert state_of(at(Phase.BLOCKED, failed=True)) is None


def test_it_names_the_preview_its_commit_and_its_address() -> None:
    found = shown(RECORD)
    assert found.task == "previews:acme:shop#42"
    assert found.environment == "preview/shop"
    assert found.head_sha == OPEN.head_sha
    assert (found.environment_url, found.log_url) == (URL, "https://logs.example/")
    assert len(found.description) <= 140


def test_there_is_no_address_before_it_answers() -> None:
    for phase in (Phase.QUEUED, Phase.DEPLOYING, Phase.DEGRADED):
        assert not shown(at(phase)).environment_url


def test_a_fork_is_never_shown_since_its_own_workflows_would_run() -> None:
    fork = replace(RECORD, pull_request=replace(OPEN, from_fork=True))
    for phase in Phase:
        assert state_of(replace(fork, phase=phase)) is None


def test_nothing_is_shown_of_what_is_closed_or_not_read_yet() -> None:
    for record in (
        replace(RECORD, pull_request=replace(OPEN, is_open=False)),
        replace(RECORD, pull_request=None),
        replace(RECORD, phase=Phase.PROVISIONING, reason=""),
    ):
        assert deployment_of("acme", record, url=URL) is None


@given(
    number=st.integers(min_value=0, max_value=10**10),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,29}", fullmatch=True),
)
def test_a_task_leads_back_to_its_preview(number: int, name: str) -> None:
    key = PreviewKey(name, number)
    task = task_of("acme", key)
    assert owner_of("acme", task) == key
    assert owner_of("acm", task) is None
    assert owner_of("acme-two", task) is None


@pytest.mark.parametrize(
    "task",
    [
        "",
        "deploy",
        "deploy:migrations",
        "previews:other:shop#1",
        "previews:acme",
        "previews:acme:",
        "previews:acme:shop",
        "previews:acme:shop#",
        "previews:acme:shop#x",
        "previews:acme:shop#01",
        "previews:acme:shop#\N{FULLWIDTH DIGIT ONE}",
        "Previews:acme:shop#1",
        " previews:acme:shop#1",
    ],
)
def test_what_others_wrote_is_nobodys(task: str) -> None:
    assert owner_of("acme", task) is None


def test_an_environment_and_a_memory_are_of_a_project() -> None:
    assert environment_of("shop") == "preview/shop"
    assert target_of("shop") == "deployment:shop"


@given(
    st.sampled_from([*DeploymentState, None]),
    st.one_of(st.none(), st.integers(min_value=1)),
    st.sampled_from(["", "a" * 40, "b" * 64]),
    st.sampled_from(["", "0123456789abcdef"]),
)
def test_what_was_shown_is_remembered_as_it_was(
    state: DeploymentState | None, number: int | None, head_sha: str, digest: str
) -> None:
    memory = Shown(head_sha=head_sha, state=state, digest=digest, id=number)
    assert Shown.parse(str(memory)) == memory


@pytest.mark.parametrize("text", ["", "a", "a b c d", "a success c d", "1 2 3 4 5", "- - -  7"])
def test_of_a_memory_that_does_not_read_nothing_is_known(text: str) -> None:
    assert Shown.parse(text) == Shown()


def test_the_same_is_not_shown_twice() -> None:
    memory = Shown.of(shown(RECORD), 7)
    assert not memory.is_worth(shown(RECORD))
    assert not memory.is_worth(shown(at(Phase.ASLEEP)))
    assert not memory.is_worth(shown(replace(RECORD, message="200 OK", reason="Met")))


def test_a_commit_that_was_live_is_not_shown_as_under_way_again() -> None:
    memory = Shown.of(shown(RECORD), 7)
    for phase in (Phase.QUEUED, Phase.WAITING_FOR_IMAGE, Phase.PROVISIONING, Phase.DEPLOYING):
        assert not memory.is_worth(shown(at(phase)))
    assert memory.is_worth(shown(at(Phase.DEGRADED)))
    assert Shown.of(shown(at(Phase.DEGRADED)), 7).is_worth(shown(RECORD))


def test_a_commit_goes_on_from_state_to_state() -> None:
    waits, comes, fails = (shown(at(p)) for p in (Phase.QUEUED, Phase.PROVISIONING, Phase.DEGRADED))
    assert Shown().is_worth(waits)
    assert Shown.of(waits, 7).is_worth(comes)
    assert not Shown.of(comes, 7).is_worth(waits)
    assert Shown.of(comes, 7).is_worth(fails)


def test_another_commit_or_address_is_shown() -> None:
    memory = Shown.of(shown(RECORD), 7)
    assert memory.is_worth(replace(shown(at(Phase.QUEUED)), head_sha=HeadSha(NEXT_SHA)))
    assert memory.is_worth(replace(shown(RECORD), environment_url="https://other.example/"))


def test_while_an_answer_is_missing_everything_is_shown() -> None:
    unsure = Shown(head_sha=OPEN.head_sha, id=7)
    assert unsure.is_worth(shown(RECORD))
    assert unsure.is_worth(shown(at(Phase.QUEUED)))

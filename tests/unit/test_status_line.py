"""The line beside the commit."""

from hypothesis import given

from previews.domain.preview import Phase, parse_head_sha
from previews.domain.record import StatusState
from previews.domain.status_line import commit_status, superseded
from tests.unit.subjects import HOSTILE, URL, subject


def test_every_phase_but_those_under_way_has_a_final_status() -> None:
    pending = {
        phase for phase in Phase if commit_status(subject(phase)).state is StatusState.PENDING
    }
    assert pending == {
        Phase.QUEUED,
        Phase.WAITING_FOR_IMAGE,
        Phase.PROVISIONING,
        Phase.DEPLOYING,
        Phase.REMOVING,
    }


def test_the_link_is_there_only_while_a_visit_leads_to_the_preview() -> None:
    for phase in Phase:
        answers = phase in {Phase.LIVE, Phase.ASLEEP, Phase.WAKING}
        assert (commit_status(subject(phase)).target_url == URL) is answers


def test_falling_asleep_and_waking_up_say_the_same_beside_the_commit() -> None:
    """A forge takes a thousand statuses for a commit: a preview that sleeps every night must not use them up."""
    asleep = commit_status(subject(Phase.ASLEEP, "nobody visited it"))
    assert asleep == commit_status(subject(Phase.WAKING, "its pods answer"))
    assert asleep.state is StatusState.SUCCESS


def test_a_preview_that_does_not_wake_up_says_failure_and_why() -> None:
    status = commit_status(subject(Phase.WAKING, "the workload is not healthy", failed=True))
    assert status.state is StatusState.FAILURE
    assert "the workload is not healthy" in status.description


def test_a_place_in_the_queue_is_said_beside_the_commit() -> None:
    queued = subject(Phase.QUEUED, "number 3 in the queue: there are 5 previews already")
    assert "number 3 in the queue" in commit_status(queued).description


def test_a_preview_that_policy_forbids_does_not_fail_the_pull_request() -> None:
    status = commit_status(subject(Phase.BLOCKED, "previews of forks are off on this server"))
    assert status.state is StatusState.SUCCESS
    assert "forks are off" in status.description


def test_a_late_preview_says_failure_and_why() -> None:
    status = commit_status(subject(Phase.WAITING_FOR_IMAGE, "no image after 30 min", failed=True))
    assert status.state is StatusState.FAILURE
    assert "no image after 30 min" in status.description


def test_a_commit_that_was_overtaken_names_the_next_one_and_leads_nowhere() -> None:
    ended = superseded(commit_status(subject(Phase.DEPLOYING)), parse_head_sha("d" * 40))
    assert ended.state is StatusState.FAILURE
    assert "ddddddd" in ended.description
    assert not ended.target_url


@given(HOSTILE)
def test_a_status_is_one_line_within_the_forges_limit(message: str) -> None:
    description = commit_status(subject(Phase.DEGRADED, message)).description
    assert len(description) <= 140
    assert "\n" not in description
    assert "\u202e" not in description

import json
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from previews.domain.commit_message import Change, commit_message
from previews.domain.messages import Subject, comment, commit_status, escape, feedback, plain
from previews.domain.preview import Phase, PreviewKey, PullRequest, Stage, parse_head_sha
from previews.domain.record import PreviewRecord, StatusState

HEAD = parse_head_sha("c" * 40)
PULL_REQUEST = PullRequest(
    repository="acme/shop",
    number=42,
    is_open=True,
    head_sha=HEAD,
    head_branch="feature",
    base_branch="main",
    title="A title",
    author="alice",
    url="https://f.example/42",
    from_fork=False,
)
RECORD = PreviewRecord(key=PreviewKey("shop", 42), pull_request=PULL_REQUEST)
URL = "https://pr-42.preview.example/"
HOSTILE = st.text(min_size=1, max_size=400)


def subject(phase: Phase, message: str = "", *, failed: bool = False) -> Subject:
    return Subject(replace(RECORD, phase=phase, message=message, failed=failed), URL)


def test_every_phase_but_those_under_way_has_a_final_status() -> None:
    pending = {
        phase for phase in Phase if commit_status(subject(phase)).state is StatusState.PENDING
    }
    assert pending == {
        Phase.WAITING_FOR_IMAGE,
        Phase.PROVISIONING,
        Phase.DEPLOYING,
        Phase.REMOVING,
    }


def test_the_link_is_there_only_while_the_preview_is_live() -> None:
    for phase in Phase:
        said = commit_status(subject(phase)).target_url
        shown = comment("<!-- m -->", [subject(phase)])
        assert (said == URL) is (phase is Phase.LIVE)
        assert (URL in shown) is (phase is Phase.LIVE)


def test_a_preview_that_policy_forbids_does_not_fail_the_pull_request() -> None:
    status = commit_status(subject(Phase.BLOCKED, "previews of forks are off on this server"))
    assert status.state is StatusState.SUCCESS
    assert "forks are off" in status.description


def test_a_late_preview_says_failure_and_why() -> None:
    status = commit_status(subject(Phase.WAITING_FOR_IMAGE, "no image after 30 min", failed=True))
    assert status.state is StatusState.FAILURE
    assert "no image after 30 min" in status.description


def test_on_close_both_say_removed() -> None:
    said = feedback("acme", [subject(Phase.REMOVED)])
    assert said is not None
    assert said.statuses[0][1].description == "Preview removed"
    assert "Preview removed" in said.comment
    assert said.comment.startswith("<!-- previews:acme -->")


def test_projects_of_one_pull_request_share_a_comment() -> None:
    other = Subject(replace(RECORD, key=PreviewKey("api", 42)), URL)
    said = feedback("acme", [other, subject(Phase.LIVE)])
    assert said is not None
    assert [status.context for _, status in said.statuses] == ["preview/api", "preview/shop"]
    assert "| api |" in said.comment
    assert "| shop |" in said.comment


@given(HOSTILE)
def test_a_status_is_one_line_within_the_forges_limit(message: str) -> None:
    description = commit_status(subject(Phase.DEGRADED, message)).description
    assert len(description) <= 140
    assert "\n" not in description
    assert "\u202e" not in description


@given(HOSTILE)
def test_the_comment_keeps_its_table_and_its_machine_part(message: str) -> None:
    text = comment("<!-- m -->", [subject(Phase.DEGRADED, message)])
    rows = [line for line in text.splitlines() if line.startswith("| shop |")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 5
    machine = re.search(r"<!-- previews-json: (.*) -->", text)
    assert machine is not None
    assert json.loads(machine[1])["previews"][0]["phase"] == "Degraded"


@given(HOSTILE)
def test_foreign_text_makes_no_mention_link_or_html(text: str) -> None:
    shown = escape(plain(text)).replace("<!-- -->", "\0")
    assert "<" not in shown
    assert not re.search(r"@\w", shown)
    assert "://" not in shown
    assert not re.search(r"(?<!\\)[\[\]`*_|]", shown)


@given(HOSTILE)
def test_a_commit_message_has_one_trailer_for_each_preview(actor: str) -> None:
    changes = [
        Change(PreviewKey("shop", 42), Stage.WHOLE, HEAD, actor),
        Change(PreviewKey("shop", 7), Stage.NOTHING, None, actor),
    ]
    lines = commit_message("acme", changes).splitlines()
    assert lines[0] == "Deploy 1, remove 1 previews"
    assert sum(line.startswith("Preview: ") for line in lines) == 2
    assert len(lines) == 5

"""What people read on a pull request."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.commit_message import Change, commit_message
from previews.domain.lifetime import Anchor, Expiry
from previews.domain.messages import Subject, comment, commit_status, escape, feedback, plain
from previews.domain.preview import Phase, PreviewKey, PullRequest, Stage, parse_head_sha
from previews.domain.record import Gone, PreviewRecord, Removal, StatusState

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
        Phase.QUEUED,
        Phase.WAITING_FOR_IMAGE,
        Phase.PROVISIONING,
        Phase.DEPLOYING,
        Phase.REMOVING,
    }


def test_the_link_is_there_only_while_a_visit_leads_to_the_preview() -> None:
    for phase in Phase:
        answers = phase in {Phase.LIVE, Phase.ASLEEP, Phase.WAKING}
        said = commit_status(subject(phase)).target_url
        shown = comment("<!-- m -->", [subject(phase)])
        assert (said == URL) is answers
        assert (URL in shown) is answers


def test_falling_asleep_and_waking_up_say_the_same_beside_the_commit() -> None:
    """A forge takes a thousand statuses for a commit: a preview that sleeps every night must not use them up."""
    asleep = commit_status(subject(Phase.ASLEEP, "nobody visited it"))
    assert asleep == commit_status(subject(Phase.WAKING, "its pods answer"))
    assert asleep.state is StatusState.SUCCESS


def test_a_preview_that_does_not_wake_up_says_failure_and_why() -> None:
    status = commit_status(subject(Phase.WAKING, "the workload is not healthy", failed=True))
    assert status.state is StatusState.FAILURE
    assert "the workload is not healthy" in status.description


def test_a_place_in_the_queue_is_said_beside_the_commit_and_in_the_comment() -> None:
    queued = subject(Phase.QUEUED, "number 3 in the queue: there are 5 previews already")
    assert "number 3 in the queue" in commit_status(queued).description
    assert "number 3 in the queue" in comment("<!-- m -->", [queued])


EXPIRY = Expiry(
    at=datetime(2026, 3, 5, 12, tzinfo=UTC),
    anchor=Anchor.LAST_PUSH,
    anchored_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
    ttl=timedelta(days=3),
)


def expiring(expiry: Expiry, phase: Phase = Phase.LIVE) -> str:
    return comment("<!-- m -->", [Subject(replace(RECORD, phase=phase, expiry=expiry), URL)])


@pytest.mark.parametrize(
    ("anchor", "words"),
    [
        (Anchor.CREATION, "3d after it was made"),
        (Anchor.LAST_PUSH, "3d after the last push"),
        (Anchor.LAST_ACTIVITY, "3d after the last visit"),
    ],
)
def test_the_expiry_is_shown_with_what_it_is_counted_from(anchor: Anchor, words: str) -> None:
    shown = expiring(replace(EXPIRY, anchor=anchor))
    assert f"shop expires on 2026-03-05 12:00 UTC ({words})" in shown
    assert '"expires_at": "2026-03-05T12:00:00+00:00"' in shown


def test_a_near_expiry_is_a_warning() -> None:
    assert "⚠️" in expiring(replace(EXPIRY, is_near=True))
    assert "⚠️" not in expiring(EXPIRY)


def test_what_is_gone_does_not_expire() -> None:
    for phase in (Phase.REMOVED, Phase.EXPIRED, Phase.BLOCKED):
        assert "shop expires" not in expiring(EXPIRY, phase)


def test_whoever_pinned_or_extended_it_is_named() -> None:
    assert "pinned by bob" in expiring(replace(EXPIRY, pinned_by="bob", extended_by="eve"))
    assert "extended by eve" in expiring(replace(EXPIRY, extended_by="eve"))


RECEIPT = Removal(
    cause="PullRequestClosed",
    by="previews",
    started_at=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
    gone=(
        Gone("Application", "shop-pr-42", datetime(2026, 3, 5, 12, 0, 4, tzinfo=UTC)),
        Gone("Namespace", "preview-shop-pr-42", datetime(2026, 3, 5, 12, 0, 9, tzinfo=UTC)),
    ),
    finished_at=datetime(2026, 3, 5, 12, 1, tzinfo=UTC),
)


def removed(removal: Removal, phase: Phase = Phase.REMOVED) -> str:
    return comment("<!-- m -->", [Subject(replace(RECORD, phase=phase, removal=removal), URL)])


def test_a_receipt_names_every_thing_that_was_removed_and_when() -> None:
    shown = removed(RECEIPT)
    assert "nothing is left (checked 2026-03-05 12:01 UTC)" in shown
    assert "the pull request was closed" in shown
    assert "| Application | `shop-pr-42` | 12:00:04 |" in shown
    assert "| Namespace | `preview-shop-pr-42` | 12:00:09 |" in shown


def test_there_is_no_receipt_before_the_last_look_nor_beside_a_new_preview() -> None:
    assert "nothing is left" not in removed(replace(RECEIPT, finished_at=None), Phase.REMOVING)
    assert "nothing is left" not in removed(RECEIPT, Phase.LIVE)


@given(HOSTILE)
def test_who_asked_is_a_strangers_word_and_does_nothing(actor: str) -> None:
    expiry = replace(EXPIRY, pinned_by=actor)
    shown = expiring(expiry).replace("<!-- -->", "\0")
    line = next(line for line in shown.splitlines() if line.startswith("shop expires"))
    assert shown.count("<!--") == 2, "the marker and the part for machines"
    assert "<" not in line
    assert not re.search(r"@\w", line)
    assert "://" not in line
    assert line.endswith(").")


def test_a_preview_that_policy_forbids_does_not_fail_the_pull_request() -> None:
    status = commit_status(subject(Phase.BLOCKED, "previews of forks are off on this server"))
    assert status.state is StatusState.SUCCESS
    assert "forks are off" in status.description


def test_a_late_preview_says_failure_and_why() -> None:
    status = commit_status(subject(Phase.WAITING_FOR_IMAGE, "no image after 30 min", failed=True))
    assert status.state is StatusState.FAILURE
    assert "no image after 30 min" in status.description


def with_reason(reason: str, phase: Phase, *, failed: bool = False) -> str:
    record = replace(RECORD, phase=phase, reason=reason, message="why", failed=failed)
    return comment("<!-- m -->", [Subject(record, URL)])


def test_a_preview_that_failed_says_what_to_do() -> None:
    shown = with_reason("OutOfMemory", Phase.DEGRADED)
    row = next(line for line in shown.splitlines() if line.startswith("| shop |"))
    assert "why<br>→ Raise its memory limit in the project's values" in row
    assert "→ Look at CI" in with_reason("NoImage", Phase.WAITING_FOR_IMAGE, failed=True)


def test_what_is_waited_for_or_cannot_be_helped_asks_nothing_of_anybody() -> None:
    assert "→" not in with_reason("NoImage", Phase.WAITING_FOR_IMAGE)
    assert "→" not in with_reason("Syncing", Phase.DEGRADED)
    assert "→" not in with_reason("a stranger's", Phase.DEGRADED)


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

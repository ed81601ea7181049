"""The one comment on a pull request."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from previews.domain.comment import COMMENT_LENGTH_MAX, comment, shown_in_comment
from previews.domain.comment_notes import in_words
from previews.domain.feedback import CommentMode
from previews.domain.lifetime import Anchor, Expiry, Facts
from previews.domain.policy import PASSIVE_REASONS
from previews.domain.preview import Phase
from previews.domain.record import Gone, Removal
from previews.domain.subject import Subject
from tests.unit.subjects import (
    EXPIRY,
    HOSTILE,
    MARKER,
    RECORD,
    SHOWN_AT,
    URL,
    of_project,
    pieces,
    rendered,
    row_of,
    subject,
)

FACTS = Facts(created_at=SHOWN_AT, pushed_at=SHOWN_AT)
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
LOGS = "https://argocd.example/applications/argocd/shop-pr-42"


def shown(*subjects: Subject) -> str:
    return comment(MARKER, subjects)


def expiring(expiry: Expiry, phase: Phase = Phase.LIVE) -> str:
    return shown(Subject(replace(RECORD, phase=phase, expiry=expiry), URL))


def removed(removal: Removal, phase: Phase = Phase.REMOVED) -> str:
    return shown(Subject(replace(RECORD, phase=phase, removal=removal), URL))


def for_machines(text: str) -> Mapping[str, Any]:
    """What stands in the comment for programs, as docs/feedback.md tells them to find it."""
    (document,) = re.findall(r"^<!-- previews-json: (.*) -->$", text, re.MULTILINE)
    return dict(json.loads(document))


# The table.


def test_the_table_has_the_columns_that_people_know() -> None:
    live = replace(subject(Phase.LIVE), logs_url=LOGS)
    text = shown(live)
    assert row_of(text, "Project") == ["Project", "Status", "Preview", "Logs", "Updated (UTC)"]
    assert row_of(text) == [
        "shop",
        "**Live** at `ccccccc`",
        f"[{URL}]({URL})",
        f"[Logs]({LOGS})",
        "2026-03-02 12:03",
    ]
    assert rendered(text).count("<table>") == 1


def test_the_link_is_there_only_while_a_visit_leads_to_the_preview() -> None:
    for phase in Phase:
        answers = phase in {Phase.LIVE, Phase.ASLEEP, Phase.WAKING}
        assert (URL in shown(subject(phase))) is answers


def test_projects_of_one_pull_request_share_it() -> None:
    text = shown(of_project("api"), subject(Phase.LIVE))
    assert row_of(text, "api")[1] == "**Live** at `ccccccc`"
    assert row_of(text, "shop")[1] == "**Live** at `ccccccc`"


def test_a_preview_that_failed_says_why_and_what_to_do() -> None:
    failed = subject(Phase.DEGRADED, "why", reason="OutOfMemory")
    assert "<br>why<br>→ Raise its memory limit in the project's values" in row_of(shown(failed))[1]
    late = subject(Phase.WAITING_FOR_IMAGE, "why", reason="NoImage", failed=True)
    assert "→ Look at CI" in shown(late)


def test_where_there_is_no_preview_it_says_why_and_what_to_do() -> None:
    fork = subject(Phase.BLOCKED, "previews of forks are off", reason="ForksAreOff")
    assert "previews of forks are off<br>→ " in row_of(shown(fork))[1]
    assert "→ " in shown(subject(Phase.EXPIRED, "its time was over", reason="Expired"))
    queued = shown(subject(Phase.QUEUED, "number 3 in the queue", reason="Queued"))
    assert "number 3 in the queue<br>→ " in row_of(queued)[1]


def test_what_is_waited_for_or_cannot_be_helped_asks_nothing_of_anybody() -> None:
    assert "→" not in shown(subject(Phase.WAITING_FOR_IMAGE, "why", reason="NoImage"))
    assert "→" not in shown(subject(Phase.DEGRADED, "why", reason="Syncing"))
    assert "→" not in shown(subject(Phase.DEGRADED, "why", reason="a stranger's"))


def test_the_commands_that_make_sense_now_are_offered_once() -> None:
    both = [
        replace(of_project("api"), commands=("/preview wake", "/preview help")),
        replace(subject(Phase.LIVE), commands=("/preview pin [7d]", "/preview help")),
    ]
    assert "`/preview wake` · `/preview help` · `/preview pin [7d]`" in shown(*both)
    assert "/preview" not in shown(subject(Phase.LIVE)).replace(URL, "")


# How long it lives.


@pytest.mark.parametrize(
    ("anchor", "words"),
    [
        (Anchor.CREATION, "counted from its creation"),
        (Anchor.LAST_PUSH, "counted from the last push"),
        (Anchor.LAST_ACTIVITY, "counted from the last visit"),
    ],
)
def test_the_expiry_is_shown_with_what_it_is_counted_from(anchor: Anchor, words: str) -> None:
    text = expiring(replace(EXPIRY, anchor=anchor))
    assert (
        "shop expires on 2026-03-05 15:00 UTC (in 3 d 3 h, as of 2026-03-02 12:03), "
        f"{words}." in text
    )
    assert for_machines(text)["previews"][0]["expires_at"] == "2026-03-05T15:00:00+00:00"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(days=2, hours=3, minutes=10), "2 d 3 h"),
        (timedelta(days=3, seconds=-20), "3 d"),
        (timedelta(hours=5, minutes=50), "6 h"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=59, seconds=50), "1 h"),
        (timedelta(hours=23, minutes=45), "1 d"),
        (timedelta(seconds=-5), "0 min"),
    ],
)
def test_lengths_are_as_exact_as_anybody_needs(length: timedelta, words: str) -> None:
    assert in_words(length) == words


def test_a_near_expiry_is_a_warning() -> None:
    assert "⚠️ **shop expires" in expiring(replace(EXPIRY, is_near=True))
    assert "⚠️" not in expiring(EXPIRY)


def test_what_is_gone_does_not_expire() -> None:
    for phase in (Phase.REMOVED, Phase.EXPIRED, Phase.BLOCKED):
        assert "shop expires" not in expiring(EXPIRY, phase)


def test_whoever_pinned_or_extended_it_is_named() -> None:
    assert "pinned by bob" in expiring(replace(EXPIRY, pinned_by="bob", extended_by="eve"))
    assert "extended by eve" in expiring(replace(EXPIRY, extended_by="eve"))


# What its removal left.


def test_a_receipt_names_every_thing_that_was_removed_and_when() -> None:
    text = removed(RECEIPT)
    assert "nothing is left (checked 2026-03-05 12:01 UTC)" in text
    assert "the pull request was closed" in text
    assert "| Application | `shop-pr-42` | 12:00:04 |" in text
    assert "| Namespace | `preview-shop-pr-42` | 12:00:09 |" in text
    assert rendered(text).count("<table>") == 2


def test_there_is_no_receipt_before_the_last_look_nor_beside_a_new_preview() -> None:
    assert "nothing is left" not in removed(replace(RECEIPT, finished_at=None), Phase.REMOVING)
    assert "nothing is left" not in removed(RECEIPT, Phase.LIVE)


# Whether there is one.


def test_nothing_is_said_where_nobody_wanted_a_preview() -> None:
    passive = [subject(Phase.BLOCKED, reason=reason) for reason in sorted(PASSIVE_REASONS)]
    assert not shown_in_comment(passive, is_there=False)
    live = subject(Phase.LIVE)
    assert shown_in_comment([*passive, live], is_there=False) == [live, *passive]


def test_one_that_was_closed_before_anything_was_there_is_not_spoken_of() -> None:
    assert not shown_in_comment([subject(Phase.REMOVED)], is_there=False)
    was = Subject(replace(RECORD, phase=Phase.REMOVED, facts=FACTS), URL)
    assert shown_in_comment([was], is_there=False)


def test_a_comment_that_is_there_is_kept_true() -> None:
    passive = subject(Phase.BLOCKED, reason=min(PASSIVE_REASONS))
    off = replace(subject(Phase.LIVE), comment_mode=CommentMode.OFF)
    assert shown_in_comment([passive], is_there=True) == [passive]
    assert shown_in_comment([off], is_there=True) == [off]


def test_on_failure_it_begins_with_the_first_one() -> None:
    live = replace(subject(Phase.LIVE), comment_mode=CommentMode.ON_FAILURE)
    failing = replace(subject(Phase.DEGRADED), comment_mode=CommentMode.ON_FAILURE)
    assert not shown_in_comment([live], is_there=False)
    assert shown_in_comment([live, failing], is_there=False) == [live, failing]
    assert shown_in_comment([live], is_there=True) == [live]


def test_a_project_that_wants_none_has_no_row_beside_others() -> None:
    off = replace(of_project("api"), comment_mode=CommentMode.OFF)
    live = subject(Phase.LIVE)
    assert not shown_in_comment([off], is_there=False)
    assert shown_in_comment([off, live], is_there=False) == [live]


# For machines.


def test_machines_read_how_each_preview_stands() -> None:
    assert for_machines(shown(subject(Phase.LIVE, reason="Live"))) == {
        "version": 1,
        "previews": [
            {
                "project": "shop",
                "phase": "Live",
                "reason": "Live",
                "url": URL,
                "expires_at": None,
                "head_sha": "c" * 40,
                "updated_at": "2026-03-02T12:03:20+00:00",
            }
        ],
    }


# What strangers write into it.


@given(HOSTILE)
def test_foreign_text_does_nothing_in_it(message: str) -> None:
    expiry = replace(EXPIRY, pinned_by=message)
    record = replace(
        RECORD,
        phase=Phase.DEGRADED,
        message=message,
        expiry=expiry,
        storage_warning=message,
        rules_warning=message,
    )
    text = shown(Subject(record, URL))
    assert len(text) <= COMMENT_LENGTH_MAX
    assert "\u202e" not in text
    found = list(pieces(text))
    assert [each.type for each in found].count("table_open") == 1
    assert [each.type for each in found].count("td_open") == 5
    assert not [each for each in found if each.type in {"link_open", "image", "code_block"}]
    html = [each.content.strip() for each in found if each.type.startswith("html")]
    assert {each for each in html if not each.startswith("<!-- previews")} <= {"<br>", "<!-- -->"}
    without = text.replace("<!-- -->", "\0")
    assert not re.search(r"@\w", without)
    assert for_machines(text)["previews"][0]["phase"] == "Degraded"


@given(HOSTILE)
def test_a_strangers_cause_of_a_removal_does_nothing(cause: str) -> None:
    text = removed(replace(RECEIPT, cause=cause, by=cause))
    found = list(pieces(text))
    assert [each.type for each in found].count("table_open") == 2
    assert not [each for each in found if each.type in {"link_open", "image"}]
    assert rendered(text).count("</details>") == 1


# How long it may be.


def many(count: int, message: str) -> list[Subject]:
    gone = tuple(Gone("Namespace", f"preview-{n}", SHOWN_AT) for n in range(10))
    removal = replace(RECEIPT, gone=gone)
    return [
        replace(each, record=replace(each.record, removal=removal))
        for each in (
            of_project(f"project-{number:04}", Phase.EXPIRED, message) for number in range(count)
        )
    ]


@pytest.mark.parametrize("count", [1, 40, 120, 1000])
@pytest.mark.parametrize("message", ["short", "@" * 10_000])
@pytest.mark.fault(41)
def test_it_is_never_longer_than_a_forge_takes(count: int, message: str) -> None:
    text = shown(*many(count, message))
    assert len(text) <= COMMENT_LENGTH_MAX
    machines = for_machines(text)
    assert len(machines["previews"]) + machines.get("not_shown", 0) == count
    assert text.count("| project-") == len(machines["previews"])
    assert text.startswith(MARKER)


def test_receipts_are_shortened_before_messages_are() -> None:
    crowded = shown(*many(100, "a reason of a few words"))
    assert "| Namespace |" not in crowded
    assert "nothing is left (checked" in crowded
    assert crowded.count("a reason of a few words") == 100

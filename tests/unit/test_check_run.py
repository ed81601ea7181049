"""The check run beside the commit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from previews.domain.check_run import check_of, superseded_check
from previews.domain.feedback import Check, CheckState
from previews.domain.preview import Condition, Phase, parse_head_sha
from tests.unit.subjects import HEAD, HOSTILE, RECORD, URL, pieces, rendered, subject

AT = datetime(2026, 3, 2, 12, 3, tzinfo=UTC)
LATER = AT.replace(minute=5)
CRASHING = "container web of shop ends by itself with exit code 1: line one / line two / the last"


def check(phase: Phase, message: str = "", *, failed: bool = False, reason: str = "") -> Check:
    return check_of("acme", subject(phase, message, failed=failed, reason=reason), HEAD)


@pytest.mark.parametrize("phase", Phase)
def test_nothing_goes_on_for_ever(phase: Phase) -> None:
    under_way = {
        Phase.QUEUED,
        Phase.WAITING_FOR_IMAGE,
        Phase.PROVISIONING,
        Phase.DEPLOYING,
        Phase.REMOVING,
    }
    assert check(phase).state.is_final is (phase not in under_way)
    assert check(phase, failed=True).state is CheckState.FAILURE


def test_what_needs_nobody_is_neutral_and_what_works_is_a_success() -> None:
    assert check(Phase.BLOCKED).state is CheckState.NEUTRAL
    assert check(Phase.EXPIRED).state is CheckState.NEUTRAL
    assert check(Phase.LIVE).state is CheckState.SUCCESS
    assert check(Phase.ASLEEP).state is CheckState.SUCCESS
    assert check(Phase.DEGRADED).state is CheckState.FAILURE


def test_its_name_is_stable_and_it_says_whose_it_is() -> None:
    assert check(Phase.LIVE).name == "preview/shop"
    assert check(Phase.LIVE).external_id == "previews:acme:shop#42"
    assert check(Phase.LIVE).details_url == URL
    assert not check(Phase.DEPLOYING).details_url


def test_the_phases_are_listed_with_the_time_since_when_they_are_so() -> None:
    conditions = (
        Condition("ImageFound", status=True, reason="Met", message="", since=AT),
        Condition("Synced", status=False, reason="Syncing", message="", since=LATER),
        Condition("SomethingNew", status=True, reason="Met", message="", since=AT),
    )
    record = replace(RECORD, phase=Phase.DEPLOYING, conditions=conditions)
    summary = check_of("acme", replace(subject(Phase.DEPLOYING), record=record), HEAD).summary
    assert "- ✅ The registry has the image (since 2026-03-02 12:03 UTC)" in summary
    assert "- ⏳ Argo CD has deployed them: not yet, `Syncing` (since 2026-03-02 12:05" in summary
    assert "- ✅ Something New" in summary
    assert rendered(summary).count("<li>") == 3


def test_what_failed_shows_the_last_lines_of_its_log_and_what_to_do() -> None:
    failed = check(Phase.DEGRADED, CRASHING, reason="Crashing")
    assert "line one\nline two\nthe last" in failed.text
    assert "→ Mend what its own log names" in failed.summary
    assert not check(Phase.DEPLOYING, "its pods start").text


def test_a_commit_that_was_overtaken_is_not_in_progress_any_more() -> None:
    old, new = parse_head_sha("a" * 40), parse_head_sha("d" * 40)
    ended = superseded_check("acme", RECORD, old, new)
    assert ended.head_sha == old
    assert ended.state.is_final
    assert "ddddddd" in ended.title


@given(HOSTILE)
def test_foreign_words_stay_in_their_place_and_within_the_limits(message: str) -> None:
    shown = check(Phase.DEGRADED, message, reason="Crashing")
    assert len(shown.title) <= 140
    assert "\n" not in shown.title
    assert len(shown.summary) <= 65_535
    assert len(shown.text) <= 65_535
    blocks = [each.type for each in pieces(shown.text)]
    assert blocks in ([], ["fence"])
    links = [each for each in pieces(shown.summary) if each.type == "link_open"]
    assert links == []

"""What several answers in a row come to."""

import pytest

from previews.domain.preview import ProbeResult, parse_head_sha
from previews.domain.probing import ProbePolicy, ProbeVerdict, follow

POLICY = ProbePolicy(successes=2, failures=3)
HEAD_SHA = parse_head_sha("0123456789abcdef0123456789abcdef01234567")
WELL = ProbeResult(answered=True, detail="200 OK")
SILENT = ProbeResult(answered=False, detail="502 Bad Gateway")


def after(*results: ProbeResult, begin: ProbeVerdict | None = None) -> ProbeVerdict:
    verdict = begin
    for result in results:
        verdict = follow(verdict, result, POLICY, HEAD_SHA)
    assert verdict is not None
    return verdict


def test_one_success_is_not_enough() -> None:
    assert not after(WELL).answered
    assert after(WELL, WELL) == ProbeVerdict(answered=True, detail="200 OK")


def test_successes_count_only_in_a_row() -> None:
    assert not after(WELL, SILENT, WELL).answered


def test_failures_count_only_in_a_row() -> None:
    live = after(WELL, WELL)
    shaken = after(SILENT, SILENT, begin=live)
    assert shaken.answered
    assert after(WELL, begin=shaken) == live
    assert after(WELL, SILENT, SILENT, begin=shaken).answered


def test_what_is_silent_long_enough_says_why_and_was_live() -> None:
    gone = after(SILENT, SILENT, SILENT, begin=after(WELL, WELL))
    assert (gone.answered, gone.detail, gone.doubts) == (False, "502 Bad Gateway", 0)
    assert gone.was_live
    back = after(WELL, WELL, begin=gone)
    assert back.answered
    assert back.was_live


def test_what_never_answered_was_never_live() -> None:
    assert not after(SILENT, SILENT, WELL).was_live


def test_an_answer_as_before_changes_nothing_whatever_its_words() -> None:
    live = after(WELL, WELL)
    assert after(ProbeResult(answered=True, detail="204 No Content"), begin=live) == live


def test_a_silent_one_shows_why_it_is_silent_now() -> None:
    unknown = ProbeResult(answered=False, detail="host name not found", reason="HostNotFound")
    verdict = after(SILENT, unknown)
    assert (verdict.reason, verdict.detail) == ("HostNotFound", "host name not found")


@pytest.mark.parametrize("said", [HEAD_SHA, HEAD_SHA[:7], HEAD_SHA[:12].upper(), ""])
def test_the_commit_may_be_said_in_short_or_not_at_all(said: str) -> None:
    answer = ProbeResult(answered=True, detail="200 OK", head_sha=said)
    assert after(answer, answer).answered


def test_the_old_version_is_no_answer_and_is_named() -> None:
    old = ProbeResult(answered=True, detail="200 OK", head_sha="fedcba9876543210")
    verdict = after(old, old, old)
    assert not verdict.answered
    assert verdict.reason == "OldVersionAnswers"
    assert verdict.detail == "fedcba9 answers, not 0123456"
    assert verdict.head_sha == "fedcba9876543210"

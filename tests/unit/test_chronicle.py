"""What is kept of a preview's life: its receipt, and its history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from previews.domain.lifetime import Facts, Said
from previews.domain.naming import names_of
from previews.domain.observation import Observation
from previews.domain.preview import Condition, Manifests, Mode, Phase, Stage
from previews.domain.record import PreviewRecord, Removal
from previews.domain.removal import Departure
from previews.reconcile.chronicle import history_of, removal_of
from tests.unit.test_plan import FRESH, GONE, KEY, LIVE, OPEN, REMOVING, THE_NAMESPACE

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NAMES = names_of(KEY, host_pattern="")
CLOSED = Departure("PullRequestClosed", "pull request closed", "previews", Phase.REMOVED)
WAYS = {
    "whole": LIVE,
    "without its Application": replace(
        REMOVING, application=None, files_in_git=frozenset({"namespace.yaml"})
    ),
    "without its namespace": replace(GONE, app_project_exists=True),
    "gone": GONE,
}


def removed(
    known: Removal | None, seen: Observation, minutes: int, leaving: Departure | None = CLOSED
) -> Removal | None:
    return removal_of(known, leaving, seen, NAMES, NOON + timedelta(minutes=minutes))


def test_a_receipt_grows_with_each_thing_that_is_found_gone_and_ends_with_the_last() -> None:
    removal: Removal | None = None
    gone = []
    for minutes, seen in enumerate(WAYS.values()):
        removal = removed(removal, seen, minutes)
        assert removal is not None
        gone.append([each.kind for each in removal.gone])
        assert (removal.finished_at is not None) is (seen is GONE)
    assert removal is not None
    assert gone == [
        [],
        ["Application"],
        ["Application", "Namespace", "Files in Git"],
        ["Application", "Namespace", "Files in Git", "AppProject"],
    ]
    times = {each.kind: each.at for each in removal.gone}
    assert times["Application"] == NOON + timedelta(minutes=1)
    assert times["AppProject"] == removal.finished_at == NOON + timedelta(minutes=3)
    assert (removal.cause, removal.by, removal.started_at) == (
        "PullRequestClosed",
        "previews",
        NOON,
    )


def test_a_finished_receipt_stays_as_it_is() -> None:
    finished = removed(removed(None, LIVE, 0), GONE, 1)
    assert removed(finished, GONE, 9) == finished
    assert removed(finished, GONE, 9, None) == finished
    assert removed(finished, LIVE, 9, None) == finished


def test_a_second_removal_has_a_receipt_of_its_own() -> None:
    finished = removed(removed(None, LIVE, 0), GONE, 1)
    again = removed(finished, LIVE, 9)
    assert again is not None
    assert (again.started_at, again.gone) == (NOON + timedelta(minutes=9), ())


def test_what_the_brake_holds_has_not_begun() -> None:
    assert removed(None, replace(LIVE, is_held=True), 0) is None


def test_what_never_was_there_has_no_receipt() -> None:
    assert removed(None, FRESH, 0) is None


def test_a_removal_goes_on_when_the_pull_request_was_reopened_meanwhile() -> None:
    begun = removed(None, LIVE, 0)
    assert removed(begun, REMOVING, 1, None) == begun
    finished = removed(begun, GONE, 2, None)
    assert finished is not None
    assert finished.finished_at == NOON + timedelta(minutes=2)


def test_what_another_hand_deletes_is_kept_as_such() -> None:
    deleting = replace(LIVE, namespace=replace(THE_NAMESPACE, deleting=True))
    removal = removed(None, deleting, 0, None)
    assert removal is not None
    assert removal.cause == "DeletedByAnotherHand"


RECORD = PreviewRecord(key=KEY, pull_request=OPEN)
HEALTHY = Condition("Answering", status=True, reason="Met", message="", since=NOON)
WHOLE = Manifests(Stage.WHOLE, "digest", OPEN.head_sha, {})


def test_each_thing_that_happens_is_one_line_and_nothing_is_said_twice() -> None:
    live = replace(RECORD, phase=Phase.LIVE, conditions=(HEALTHY,), manifests=WHOLE)
    facts = Facts(created_at=NOON, pushed_at=NOON, asleep=Said(NOON, "nobody visited it"))
    asleep = replace(
        live, phase=Phase.ASLEEP, facts=facts, manifests=replace(WHOLE, mode=Mode.ASLEEP)
    )
    begun = replace(asleep, removal=Removal(cause="Expired", by="previews", started_at=NOON))
    assert begun.removal is not None
    done = replace(begun, removal=replace(begun.removal, finished_at=NOON))
    steps = [RECORD, live, live, asleep, asleep, begun, begun, done, done]
    said = [
        [(entry.action, entry.detail) for entry in history_of(before, after)]
        for before, after in pairwise(steps)
    ]
    assert said == [
        [("WentLive", "aaaaaaa")],
        [],
        [("WentToSleep", "nobody visited it")],
        [],
        [("RemovalBegan", "Expired")],
        [],
        [("NothingLeft", "Expired")],
        [],
    ]


def test_a_removal_found_begun_and_finished_at_once_is_two_lines() -> None:
    done = replace(
        RECORD,
        removal=Removal(cause="Expired", by="previews", started_at=NOON, finished_at=NOON),
    )
    assert [entry.action for entry in history_of(RECORD, done)] == ["RemovalBegan", "NothingLeft"]


def test_a_new_commit_that_goes_live_is_said_by_name() -> None:
    live = replace(RECORD, phase=Phase.LIVE, conditions=(HEALTHY,), manifests=WHOLE)
    pushed = replace(live, pull_request=replace(OPEN, head_sha=type(OPEN.head_sha)("b" * 40)))
    assert [entry.detail for entry in history_of(live, pushed)] == ["bbbbbbb"]

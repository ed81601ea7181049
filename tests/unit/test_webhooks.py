"""What the door makes of every kind of delivery."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from previews.domain.record import Delivery, PreviewRecord, Verdict
from previews.errors import PreviewsError, StalledError, TransientError
from previews.web.metrics import ANSWERS
from tests.github.hooks import example, signed_headers
from tests.unit.knocking import BODY, GUID, KEYS, REPOSITORY, SECRET, Door, payload


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    "action", ["opened", "synchronize", "labeled", "unlabeled", "edited", "closed", "reopened"]
)
def test_githubs_own_examples_of_a_pull_request_mark_its_previews(door: Door, action: str) -> None:
    answer = door.deliver(example(f"pull_request.{action}"))

    assert answer.status_code == 202
    assert answer.json() == {"verdict": "accepted", "reason": "", "guid": GUID}
    assert door.only_delivery() == Delivery(
        GUID, door.clock.now(), "pull_request", Verdict.ACCEPTED, ""
    )
    assert door.store.list_records() == [PreviewRecord(key=key, fetch_mark=1) for key in KEYS]


def test_a_delivery_of_gitea_is_understood_by_its_own_headers(door: Door) -> None:
    own = {"X-Gitea-Event": "pull_request", "X-Gitea-Delivery": GUID}
    without = {"X-GitHub-Event": None, "X-GitHub-Delivery": None}

    answer = door.deliver(payload(), changes=own | without)

    assert answer.json() == {"verdict": "accepted", "reason": "", "guid": GUID}
    assert door.marked == list(KEYS)


def test_a_change_of_labels_at_gitea_marks_its_previews(door: Door) -> None:
    own: dict[str, str | None] = {
        "X-Gitea-Event": "pull_request",
        "X-Gitea-Event-Type": "pull_request_label",
        "X-Gitea-Delivery": GUID,
    }

    answer = door.deliver(payload(action="label_updated"), changes=own)

    assert answer.json() == {"verdict": "accepted", "reason": "", "guid": GUID}
    assert door.marked == list(KEYS)


def test_an_action_of_the_future_is_a_reason_to_look_too(door: Door) -> None:
    assert door.deliver(payload(action="teleported")).json()["verdict"] == "accepted"


def test_the_case_of_a_repository_does_not_matter(door: Door) -> None:
    body = payload(repository={"full_name": REPOSITORY.upper()})

    assert door.deliver(body).json()["verdict"] == "accepted"


def test_a_ping_is_answered_with_pong(door: Door) -> None:
    answer = door.deliver(example("ping"), event="ping")

    assert answer.status_code == 202
    assert answer.json() == {"verdict": "ignored", "reason": "pong", "guid": GUID}


@pytest.mark.parametrize("event", ["star", "pull_request_comment", "<script>", "x" * 500])
def test_other_events_are_stored_and_ignored(door: Door, event: str) -> None:
    answer = door.deliver(example("push"), event=event)

    assert (answer.status_code, answer.json()["verdict"]) == (202, "ignored")
    assert door.only_delivery().body == b""
    assert len(door.only_delivery().event) <= 64
    assert door.marked == []


def test_a_repository_that_is_not_configured_is_ignored(door: Door) -> None:
    body = payload(repository={"full_name": "mallory/\ud800\u202e" + "x" * 10_000})

    answer = door.deliver(body)

    assert answer.json()["verdict"] == "ignored"
    assert answer.json()["reason"].startswith("the repository 'mallory/\\ud800\\u202exxx")
    assert len(answer.json()["reason"]) < 250
    assert door.marked == []


def test_a_delivery_that_is_repeated_changes_nothing(door: Door) -> None:
    door.deliver(payload())
    writes = door.store.writes

    answer = door.deliver(payload())

    assert (answer.status_code, answer.json()["verdict"]) == (202, "duplicate")
    assert door.store.writes == writes


def test_whoever_counts_is_told_of_every_answer(door: Door) -> None:
    door.deliver(payload())
    door.deliver(payload())
    door.deliver(example("ping"), event="ping")
    door.post(payload(), {})
    door.problem = TransientError("StoreUnavailable", "the disk is full")
    door.deliver(payload())

    assert door.answered == ["accepted", "duplicate", "duplicate", "refused", "not stored"]
    assert set(door.answered) <= set(ANSWERS)


@pytest.mark.fault(8)
def test_a_replay_under_another_name_is_no_more_than_another_look(door: Door) -> None:
    door.deliver(payload())

    door.deliver(payload(), changes={"X-GitHub-Delivery": "captured-weeks-ago"})

    assert [record.fetch_mark for record in door.store.list_records()] == [2, 2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\xff",
        b'{"a": "\xff"}',
        b"payload=%7B%22number%22%3A2%7D",
        b'{"a": 1}{"a": 1}',
        b"[" * 20,
    ],
)
def test_a_signed_body_that_is_not_json_is_a_bad_request(door: Door, body: bytes) -> None:
    answer = door.deliver(body)

    assert answer.status_code == 400
    assert "application/json" in answer.json()["reason"]
    assert door.store.writes == 0


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"2",
        b'"text"',
        b"[]",
        b"{}",
        b"[" * 10**6 + b"]" * 10**6,
        payload(repository=None),
        payload(repository="acme/shop"),
        payload(repository={}),
        payload(repository={"full_name": None}),
        payload(repository={"full_name": ["a"]}),
        payload(pull_request=None),
        payload(pull_request=[]),
        payload(pull_request={}),
        payload(pull_request={"number": True}),
        payload(pull_request={"number": "2"}),
        payload(pull_request={"number": 2.5}),
        payload(pull_request={"number": 0}),
        payload(pull_request={"number": -2}),
        payload(pull_request={"number": 10**10}),
        payload(pull_request={"number": 2**80}),
    ],
)
def test_what_cannot_be_understood_is_kept_aside_with_its_body(door: Door, body: bytes) -> None:
    answer = door.deliver(body)

    assert (answer.status_code, answer.json()["verdict"]) == (202, "kept aside")
    assert answer.json()["reason"]
    assert door.only_delivery().body == body
    assert door.only_delivery().reason == answer.json()["reason"]
    assert door.marked == []


@pytest.mark.parametrize(
    "body",
    [
        payload(
            pull_request={"number": 2, "title": "\ud83d half an emoji", "body": "\x00 \U0001f600"}
        ),
        payload(pull_request={"number": 2, "head": {"repo": None, "ref": "a;$(id)"}}),
        payload(sender=None, repository={"full_name": REPOSITORY, "id": 2**200, "more": [1e999]}),
        b"\xef\xbb\xbf" + payload(),
        payload().decode().encode("utf-16"),
        json.dumps({"deep": json.loads("[" * 400 + "]" * 400)}).encode()[:-1]
        + b","
        + payload()[1:],
    ],
)
@pytest.mark.fault(6)
def test_odd_contents_do_not_hide_which_pull_request_it_is(door: Door, body: bytes) -> None:
    assert door.deliver(body).json()["verdict"] == "accepted"
    assert door.marked == list(KEYS)


@pytest.mark.parametrize("guid", [None, "", "a b", "x" * 65, "../../etc/passwd", "\u00e9", "%00"])
def test_a_delivery_without_a_usable_name_is_kept_aside_under_one_of_ours(
    door: Door, guid: str | None
) -> None:
    headers = signed_headers("pull_request", BODY, SECRET)
    del headers["X-GitHub-Delivery"]
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    if guid is not None:
        raw.append((b"X-GitHub-Delivery", guid.encode("latin-1")))

    answer = door.client.post("/webhooks", content=BODY, headers=raw)

    assert answer.json()["verdict"] == "kept aside"
    assert door.only_delivery().guid == answer.json()["guid"] != guid
    assert door.marked == []


def test_a_delivery_without_an_event_is_kept_aside(door: Door) -> None:
    answer = door.deliver(payload(), changes={"X-GitHub-Event": None})

    assert answer.json()["verdict"] == "kept aside"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["repository", "full_name", "pull_request", "number", "x"]), inner
        )
    ),
    max_leaves=20,
)
anytime = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@anytime
@given(document=json_values)
@pytest.mark.fault(6)
def test_no_signed_json_is_answered_with_an_error(door: Door, document: object) -> None:
    assert door.deliver(json.dumps(document).encode()).status_code == 202


@anytime
@given(body=st.binary(max_size=200))
def test_no_signed_bytes_are_a_server_error(door: Door, body: bytes) -> None:
    assert door.deliver(body).status_code in {202, 400}


@pytest.mark.parametrize(
    ("problem", "seconds"),
    [
        (TransientError("StoreUnavailable", "disk full"), "10"),
        (TransientError("StoreUnavailable", "busy", retry_after_seconds=2.5), "3"),
        (StalledError("StoreTooNew", "start the newer version"), "10"),
    ],
)
def test_a_delivery_that_is_not_stored_is_asked_for_again(
    door: Door, problem: PreviewsError, seconds: str
) -> None:
    door.problem = problem

    answer = door.deliver(payload())

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == seconds
    assert answer.json() == {"verdict": "not stored", "reason": problem.reason, "guid": GUID}
    door.problem = None
    assert door.deliver(payload()).json()["verdict"] == "accepted"


def test_a_bug_behind_the_door_is_shown_as_one(door: Door) -> None:
    door.problem = ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        door.deliver(payload())


def test_only_post_is_answered(door: Door) -> None:
    answer = door.client.get("/webhooks")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_every_answer_carries_the_security_headers(door: Door) -> None:
    for answer in (door.deliver(payload()), door.deliver(b"{"), door.client.get("/nothing")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]

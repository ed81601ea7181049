"""What a container says of itself is shown bounded and on one line, and whatever an object holds does no harm."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.job_log import shown
from previews.adapters.workload_status import MESSAGE_LENGTH_MAX, pods_of
from previews.domain.diagnosis import diagnose
from previews.domain.workload import crashed
from tests.fakes.raw_pods import (
    container,
    event,
    in_a_crash_loop,
    pod,
    running,
    terminated,
    waiting,
    with_no_image,
)
from tests.unit.failing_workloads import HEALTHY, cause_of, workload


def test_the_last_lines_are_shown_from_their_end() -> None:
    said = "one\ntwo " + "x" * 400 + "\npanic: no such table"
    cause = cause_of([in_a_crash_loop()], said=said)
    assert cause.message.startswith("app ends again and again, with exit code 3: …")
    assert cause.message.endswith(" / panic: no such table")
    assert len(cause.message) == 300


def test_the_log_is_read_of_the_run_that_crashed() -> None:
    again = crashed(pods_of([in_a_crash_loop()]))
    assert again is not None
    assert (again.pod.name, again.container.name) == ("app-6d4b75cb6d-x7x2p", "app")
    assert again.was_restarted
    ended = crashed(pods_of([pod(container(terminated(1)), phase="Running")]))
    assert ended is not None
    assert not ended.was_restarted
    assert crashed(pods_of([HEALTHY, with_no_image()])) is None


HOSTILE = [
    "\x1b[31mred\x07\r\nnext\x00 \u202eleft",
    "<script>alert(1)</script> | [x](javascript:x) @all",
    "x" * 1_000_000,
    "",
    "\ud800",
    "desc = " * 9000,
]


@pytest.mark.parametrize(
    "text", HOSTILE, ids=["control", "html", "long", "empty", "half", "nested"]
)
def test_hostile_texts_are_short_and_on_one_line(text: str) -> None:
    pods = [
        pod(container(waiting("ImagePullBackOff", text), image=text or "i", name=text), owner=text),
        pod(container(waiting("CreateContainerError", text)), unschedulable=text, name=text),
        pod(container(terminated(1, text, text)), phase="Failed", reason=text, message=text),
        pod(container(running()), name="p"),
    ]
    events = [
        event("Unhealthy", text, name="p", count=9),
        event("FailedMount", text, count=9),
        event("FailedCreate", text, kind="ReplicaSet", name=text),
    ]
    for raw in pods:
        found = diagnose(workload([raw], events, shown(text, 3)))
        assert found is not None
        assert len(found.message) <= 300
        assert found.message.isprintable()


def test_a_text_is_cut_before_it_is_looked_at() -> None:
    (found,) = pods_of([pod(container(waiting("ImagePullBackOff", "a b " * 500_000)))])
    assert len(found.containers[0].waiting_message) <= MESSAGE_LENGTH_MAX


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "status",
                    "spec",
                    "containerStatuses",
                    "state",
                    "waiting",
                    "reason",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
def test_whatever_the_objects_hold_they_become_something(
    pods: list[Any], events: list[Any]
) -> None:
    diagnose(workload(pods, events))


def test_fields_of_another_kind_do_no_harm() -> None:
    broken = json.loads(json.dumps(in_a_crash_loop()))
    broken["metadata"]["creationTimestamp"] = "yesterday"
    broken["status"]["containerStatuses"][0]["restartCount"] = "many"
    broken["status"]["conditions"] = {"Ready": True}
    broken["spec"]["containers"] = None
    assert cause_of([broken]).reason == "Crashing"

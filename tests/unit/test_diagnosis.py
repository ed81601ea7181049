"""Which of several pods, and which of several reasons, tells why a workload does not come up."""

from datetime import timedelta

import pytest

from previews.domain.diagnosis import diagnose
from tests.fakes.raw_pods import (
    NOT_FOUND,
    QUOTA,
    T0,
    Object,
    container,
    event,
    in_a_crash_loop,
    pod,
    running,
    terminated,
    waiting,
)
from tests.unit.failing_workloads import HEALTHY, OOM, RUNNING, cause_of, pull_error, workload

NEW = {"owner": "app-new00", "name": "app-new00-1", "created": 60}


def test_an_old_pod_that_answers_does_not_hide_that_the_new_one_fails() -> None:
    failing = pod(container(waiting("ImagePullBackOff", NOT_FOUND)), **NEW)  # type: ignore[arg-type]
    assert cause_of([failing, HEALTHY]).reason == "ImagePullFailed"


def test_an_old_pod_that_fails_is_no_cause_beside_a_new_one() -> None:
    starting = pod(container(waiting("ContainerCreating")), **NEW)  # type: ignore[arg-type]
    assert diagnose(workload([in_a_crash_loop(), starting])) is None


def test_what_is_being_deleted_does_not_count() -> None:
    going = in_a_crash_loop()
    going["metadata"]["deletionTimestamp"] = "2026-11-22T17:01:00Z"
    assert diagnose(workload([going])) is None


def test_each_workload_has_a_newest_pod_of_its_own() -> None:
    worker = pod(
        container(waiting("ErrImagePull", NOT_FOUND), name="w"), owner="worker-1", name="w"
    )
    late = pod(RUNNING, **NEW, phase="Running")  # type: ignore[arg-type]
    assert cause_of([worker, late]).message.startswith("w of worker: ")


def test_an_attempt_that_a_later_one_replaces_does_not_count() -> None:
    job = {"kind": "Job", "phase": "Failed"}
    old = pod(container(terminated(1)), owner="migrate-0a1b2c3d4e", name="a", **job)  # type: ignore[arg-type]
    new = pod(
        container(running()),
        owner="migrate-ffff2c3d4e",
        name="b",
        kind="Job",
        phase="Running",
        created=9,
    )
    assert diagnose(workload([old, new])) is None


def test_a_pod_that_was_given_up_is_no_cause_where_another_runs_instead() -> None:
    given_up = pod(phase="Failed", reason="Evicted", message="low on memory", created=9)
    assert diagnose(workload([HEALTHY, given_up])) is None


def test_what_only_somebody_can_mend_comes_before_what_may_pass() -> None:
    starting = pod(container(waiting("ErrImagePull", pull_error("i/o timeout"))))
    over = event("FailedCreate", QUOTA, kind="ReplicaSet", name="worker-1")
    assert cause_of([starting], [over]).reason == "QuotaExceeded"


def test_a_refusal_is_over_when_a_pod_came_after_it() -> None:
    refused = event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-6d4b75cb6d", seconds=-60)
    assert diagnose(workload([HEALTHY], [refused])) is None


def test_what_is_older_than_the_decision_is_about_something_else() -> None:
    refused = event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-old00")
    since = T0 + timedelta(seconds=30)
    assert diagnose(workload([], [refused]), since=since) is None
    killed = pod(container(running(), before=OOM, restarts=1, ready=True), phase="Running")
    assert diagnose(workload([killed]), since=since) is None, "it has been well ever since"


def test_while_argo_cd_is_at_work_older_pods_may_be_about_to_go() -> None:
    old, since = workload([in_a_crash_loop()]), T0 + timedelta(seconds=30)
    assert diagnose(old, since=since, is_under_way=True) is None
    assert diagnose(old, since=since) is not None, "it is what was wanted after all"


@pytest.mark.parametrize(
    ("pods", "events"),
    [
        ([], []),
        ([HEALTHY], []),
        ([pod(container(waiting("ContainerCreating")))], []),
        (
            [pod(container(running()), phase="Running")],
            [event("Unhealthy", "Startup probe failed")],
        ),
        ([pod(container(terminated(0, "Completed")), kind="Job", phase="Succeeded")], []),
        ([HEALTHY], [event("Unhealthy", "Readiness probe failed", count=9)]),
        ([pod(container(running(), before=terminated(1), restarts=9, ready=True))], []),
    ],
    ids=[
        "no pod yet",
        "all is well",
        "just begun",
        "probed while it starts",
        "a Job that is done",
        "ready after a while",
        "crashed at first, and ready",
    ],
)
def test_what_is_as_it_should_be_has_no_cause(pods: list[Object], events: list[Object]) -> None:
    assert diagnose(workload(pods, events)) is None

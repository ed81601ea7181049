"""Why a workload does not come up, told from pods and events as an API server lists them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.adapters.job_log import shown
from previews.adapters.workload_status import MESSAGE_LENGTH_MAX, notices_of, pods_of
from previews.domain.diagnosis import Cause, diagnose
from previews.domain.workload import Workload, crashed
from tests.fakes.raw_pods import (
    IMAGE,
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
    with_no_image,
)


def workload(pods: Sequence[object], events: Sequence[object] = (), said: str = "") -> Workload:
    return Workload(pods=pods_of(pods), notices=notices_of(events), last_words=said)


def cause_of(pods: Sequence[object], events: Sequence[object] = (), said: str = "") -> Cause:
    found = diagnose(workload(pods, events, said))
    assert found is not None
    return found


def pulling(words: str, *, reason: str = "ImagePullBackOff", image: str = IMAGE) -> Object:
    return pod(container(waiting(reason, words), image=image))


def pull_error(words: str) -> str:
    return (
        f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = Unknown desc = failed to '
        f'pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {words}'
    )


RUNNING = container(running(), ready=True)
HEALTHY = pod(RUNNING, phase="Running")
OOM = terminated(137, "OOMKilled")
SCHEDULER = (
    "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No "
    "preemption victims found for incoming pod."
)
RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "/nope": stat /nope: no such file or '
    "directory: unknown"
)
UNHEALTHY = "HTTP probe failed with statuscode: 503"
PULLS: list[tuple[str, Object, str, bool]] = [
    (
        "its image is not in the registry",
        with_no_image(),
        "is not in the registry: not found",
        True,
    ),
    (
        "a registry wants a credential",
        pulling(
            pull_error(
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
                "https://registry.example/token?scope=repository%3Ashop%3Apull: 401 Unauthorized"
            )
        ),
        "401 Unauthorized",
        True,
    ),
    (
        "a registry that tells nobody what it has",
        pulling(
            pull_error(
                "pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            )
        ),
        "may not be pulled",
        True,
    ),
    (
        "its image is for other machines",
        pulling(pull_error("no match for platform in manifest sha256:aa: not found")),
        "not built for the platform",
        True,
    ),
    (
        "a registry that is asked too often",
        pulling(pull_error("429 Too Many Requests - toomanyrequests: pull rate limit")),
        "asked too often",
        False,
    ),
    (
        "a registry that does not answer",
        pulling(pull_error("dial tcp 10.0.0.9:443: i/o timeout")),
        "cannot be pulled: dial tcp 10.0.0.9:443: i/o timeout",
        False,
    ),
    ("a first attempt", pulling(NOT_FOUND, reason="ErrImagePull"), "is not in the registry", False),
    (
        "a name that is none",
        pulling(
            'Failed to apply default image tag "shop:::": couldn\'t parse image name "shop:::"',
            reason="InvalidImageName",
            image="shop:::",
        ),
        "is no name of an image",
        True,
    ),
    (
        "words of a name that mean nothing",
        pulling(
            'rpc error: code = Unknown desc = unexpected answer about "denied/not found": EOF',
            image="r.example/denied/forbidden:unauthorized",
        ),
        "cannot be pulled: unexpected answer",
        False,
    ),
]


@pytest.mark.parametrize(
    ("raw", "words", "is_final"), [row[1:] for row in PULLS], ids=[row[0] for row in PULLS]
)
def test_an_image_that_cannot_be_pulled(raw: Object, words: str, *, is_final: bool) -> None:
    cause = cause_of([raw])
    assert cause.reason == "ImagePullFailed"
    assert words in cause.message
    assert cause.is_final is is_final


def test_between_two_attempts_at_an_image_nothing_changes() -> None:
    """Kubernetes shows the one and the other in turn, every few seconds."""
    backed_off = event("Failed", "Error: ImagePullBackOff", count=3)
    resting = cause_of([pulling(NOT_FOUND)], [backed_off])
    assert cause_of([pulling(NOT_FOUND, reason="ErrImagePull")], [backed_off]) == resting


def test_an_older_kubernetes_tells_why_in_an_event() -> None:
    failed = event(
        "Failed", f'Failed to pull image "{IMAGE}": {NOT_FOUND.partition("ErrImagePull: ")[2]}'
    )
    cause = cause_of([pulling(f'Back-off pulling image "{IMAGE}"')], [failed])
    assert "is not in the registry: not found" in cause.message
    assert cause.is_final


CASES: list[tuple[str, list[Object], list[Object], str, str, bool]] = [
    (
        "a crash loop",
        [in_a_crash_loop()],
        [event("BackOff", "Back-off restarting failed container app in pod", count=9)],
        "Crashing",
        "app ends again and again, with exit code 3",
        True,
    ),
    (
        "a first crash",
        [pod(container(terminated(1)), phase="Running")],
        [],
        "Crashing",
        "app ended, with exit code 1",
        False,
    ),
    (
        "one that was restarted and is not ready",
        [pod(container(running(), before=terminated(2), restarts=4), phase="Running")],
        [],
        "Crashing",
        "exit code 2",
        True,
    ),
    (
        "one that ends without an error, and should not end",
        [in_a_crash_loop(code=0)],
        [],
        "Crashing",
        "exit code 0",
        True,
    ),
    (
        "what comes before the containers",
        [
            pod(
                container(waiting("PodInitializing")),
                init=(
                    container(
                        waiting("CrashLoopBackOff"),
                        name="wait-for-it",
                        before=terminated(1),
                        restarts=3,
                    ),
                ),
            )
        ],
        [],
        "Crashing",
        "wait-for-it of app ends again and again",
        True,
    ),
    (
        "a Job's last attempt",
        [
            pod(
                container(terminated(4), name="migrate"),
                name="migrate-0a1b2c3d4e-zz",
                owner="migrate-0a1b2c3d4e",
                kind="Job",
                phase="Failed",
            )
        ],
        [],
        "Crashing",
        "migrate ended, with exit code 4",
        False,
    ),
    (
        "out of memory",
        [pod(container(waiting("CrashLoopBackOff"), before=OOM, restarts=1), phase="Running")],
        [],
        "OutOfMemory",
        "more memory than its limit",
        True,
    ),
    (
        "out of memory, and running again",
        [pod(container(running(), before=OOM, restarts=1, ready=True), phase="Running")],
        [],
        "OutOfMemory",
        "more memory than its limit",
        True,
    ),
    (
        "no node",
        [pod(unschedulable=SCHEDULER)],
        [event("FailedScheduling", SCHEDULER)],
        "Unschedulable",
        "no node can take app: 0/3 nodes are available: 3 Insufficient memory.",
        False,
    ),
    (
        "not ready",
        [pod(container(running()), phase="Running")],
        [event("Unhealthy", f"Readiness probe failed: {UNHEALTHY}", count=20)],
        "ProbeFailing",
        f"app runs and is not ready: readiness probe failed: {UNHEALTHY}",
        False,
    ),
    (
        "killed for its liveness probe",
        [
            pod(
                container(running(), before=terminated(137), restarts=3),
                phase="Running",
            )
        ],
        [event("Unhealthy", f"Liveness probe failed: {UNHEALTHY}", count=9)],
        "ProbeFailing",
        "app is started again and again: liveness probe failed",
        True,
    ),
    (
        "a crash that its probe noticed as well",
        [in_a_crash_loop(code=3)],
        [event("Unhealthy", "Startup probe failed: connection refused", count=9)],
        "Crashing",
        "exit code 3",
        True,
    ),
    (
        "a Secret that came late, as far as is known",
        [pod(container(waiting("CreateContainerConfigError", 'secret "db" not found')))],
        [event("Failed", 'Error: secret "db" not found', count=1)],
        "ConfigMissing",
        'app waits for what is not there: secret "db" not found',
        False,
    ),
    (
        "a ConfigMap that never comes",
        [pod(container(waiting("CreateContainerConfigError", 'configmap "conf" not found')))],
        [event("Failed", 'Error: configmap "conf" not found', count=4)],
        "ConfigMissing",
        'configmap "conf" not found',
        True,
    ),
    (
        "a key that the Secret does not have",
        [
            pod(
                container(
                    waiting("CreateContainerConfigError", "couldn't find key URL in Secret ns/db")
                )
            )
        ],
        [event("Failed", "Error: couldn't find key URL in Secret ns/db", count=9)],
        "ConfigMissing",
        "couldn't find key URL in Secret ns/db",
        True,
    ),
    (
        "a Secret that is a volume",
        [pod(container(waiting("ContainerCreating")))],
        [event("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "s" not found')],
        "ConfigMissing",
        'app waits for what is not there: secret "s" not found',
        False,
    ),
    (
        "a volume",
        [pod(container(waiting("ContainerCreating")))],
        [event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"')],
        "VolumeMissing",
        'Multi-Attach error for volume "pvc-1"',
        False,
    ),
    (
        "an image that runs as root",
        [
            pod(
                container(
                    waiting(
                        "CreateContainerConfigError",
                        "container has runAsNonRoot and image will run as root",
                    )
                )
            )
        ],
        [],
        "ContainerCannotStart",
        "container has runAsNonRoot and image will run as root",
        True,
    ),
    (
        "a program that is not in its image",
        [
            pod(
                container(
                    waiting("CrashLoopBackOff"),
                    before=terminated(128, "StartError", RUNC),
                    restarts=2,
                )
            )
        ],
        [],
        "ContainerCannotStart",
        'app cannot be started: exec: "/nope": stat /nope: no such file',
        True,
    ),
    (
        "a program that is not in its image, at once",
        [pod(container(waiting("RunContainerError", RUNC)))],
        [],
        "ContainerCannotStart",
        'exec: "/nope": stat /nope: no such file',
        False,
    ),
    (
        "a node without a network",
        [pod(container(waiting("ContainerCreating")))],
        [
            event(
                "FailedCreatePodSandBox",
                "Failed to create pod sandbox: rpc error: code = Unknown desc = no IP left",
            )
        ],
        "ContainerCannotStart",
        "app cannot be started: no IP left",
        False,
    ),
    (
        "a quota",
        [],
        [event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-6d4b75cb6d", count=9)],
        "QuotaExceeded",
        "app needs more than the preview may have: quota preview, requested: limits.memory=4Gi",
        True,
    ),
    (
        "a quota that what ends still uses",
        [pod(RUNNING, name="old", owner="app-1", phase="Running", deleting=True)],
        [event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-6d4b75cb6d")],
        "QuotaExceeded",
        "quota preview",
        False,
    ),
    (
        "a Job over its quota",
        [],
        [event("FailedCreate", QUOTA, kind="Job", name="migrate-0a1b2c3d4e")],
        "QuotaExceeded",
        "migrate needs more",
        True,
    ),
    (
        "Pod Security",
        [],
        [
            event(
                "FailedCreate",
                'Error creating: pods "app-1-x" is forbidden: violates PodSecurity "restricted:latest": '
                'allowPrivilegeEscalation != false (container "app" must set it to false)',
                kind="ReplicaSet",
                name="app-1",
            )
        ],
        "PodRefused",
        'Kubernetes makes no pod of app: violates PodSecurity "restricted:latest"',
        True,
    ),
    (
        "an admission policy",
        [],
        [
            event(
                "FailedCreate",
                "Error creating: pods \"app-1-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' "
                "denied request: no",
                kind="ReplicaSet",
                name="app-1",
            )
        ],
        "PodRefused",
        "ValidatingAdmissionPolicy 'p'",
        True,
    ),
    (
        "a namespace that is only just there",
        [],
        [
            event(
                "FailedCreate",
                'Error creating: pods "app-1-x" is forbidden: error looking up service account ns/default: '
                'serviceaccount "default" not found',
                kind="ReplicaSet",
                name="app-1",
            )
        ],
        "PodRefused",
        "serviceaccount",
        False,
    ),
    (
        "a webhook that does not answer",
        [],
        [
            event(
                "FailedCreate",
                'Error creating: Internal error occurred: failed calling webhook "w": timed out',
                kind="ReplicaSet",
                name="app-1",
            )
        ],
        "PodRefused",
        "failed calling webhook",
        False,
    ),
    (
        "a node that ran out of something",
        [
            pod(
                phase="Failed",
                reason="Evicted",
                message="The node was low on resource: ephemeral-storage.",
            )
        ],
        [],
        "PodEvicted",
        "the node gave app up (Evicted): The node was low on resource",
        False,
    ),
]


@pytest.mark.parametrize(
    ("pods", "events", "reason", "words", "is_final"),
    [row[1:] for row in CASES],
    ids=[row[0] for row in CASES],
)
def test_the_cause(
    pods: list[Object],
    events: list[Object],
    reason: str,
    words: str,
    is_final: bool,  # noqa: FBT001
) -> None:
    cause = cause_of(pods, events)
    assert (cause.reason, cause.is_final) == (reason, is_final)
    assert words in cause.message
    assert len(cause.message) <= 300


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

"""The cause of each way in which a workload does not come up."""

import pytest

from tests.fakes.raw_pods import (
    QUOTA,
    Object,
    container,
    event,
    in_a_crash_loop,
    pod,
    running,
    terminated,
    waiting,
)
from tests.unit.failing_workloads import OOM, RUNNING, cause_of

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

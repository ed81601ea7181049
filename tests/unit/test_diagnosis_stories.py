"""A preview whose pods do not come up says why, soon and calmly."""

import pytest

from previews.adapters.workload_status import notices_of, pods_of
from previews.domain.naming import names_of
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import StatusState
from previews.domain.workload import Workload
from previews.reconcile.effects import Effect
from tests.fakes.raw_pods import (
    NOT_FOUND,
    QUOTA,
    container,
    event,
    in_a_crash_loop,
    pod,
    running,
    terminated,
    waiting,
    with_no_image,
)
from tests.fakes.town import REPOSITORY, CountingWitness, Town

NAMES = names_of(PreviewKey("shop", 1), host_pattern="")


def without_image() -> Workload:
    return Workload(pods=pods_of([with_no_image()]))


def crashing(said: str = "panic: no such table") -> Workload:
    return Workload(pods=pods_of([in_a_crash_loop()]), last_words=said)


@pytest.fixture
def town() -> Town:
    """One preview that Argo CD has synced, and whose pods do not become healthy."""
    town = Town()
    town.argocd.deploys = False
    town.open()
    town.settle(5)
    town.argocd.finishes(NAMES.application, health="Progressing")
    town.settle(5)
    return town


def say(town: Town, workload: Workload) -> None:
    town.cluster.workloads[NAMES.namespace] = workload


def test_a_pod_without_its_image_fails_the_commit_within_seconds(town: Town) -> None:
    say(town, without_image())
    town.settle(10)
    record = town.record(1)
    assert (record.phase, record.reason) == (Phase.DEGRADED, "ImagePullFailed")
    status = town.status(1)
    assert status is not None
    assert status.state is StatusState.FAILURE
    assert "is not in the registry" in status.description


def test_what_may_pass_is_named_and_waited_for(town: Town) -> None:
    starting = pod(container(waiting("ErrImagePull", NOT_FOUND)))
    say(town, Workload(pods=pods_of([starting])))
    town.settle(10)
    record = town.record(1)
    assert (record.phase, record.reason) == (Phase.DEPLOYING, "ImagePullFailed")
    status = town.status(1)
    assert status is not None
    assert status.state is StatusState.PENDING


def test_it_goes_live_once_the_cause_is_gone(town: Town) -> None:
    say(town, without_image())
    town.settle(10)
    say(town, Workload())
    town.argocd.finishes(NAMES.application)
    town.settle(10)
    assert town.phase(1) is Phase.LIVE


def test_the_comment_says_what_to_do(town: Town) -> None:
    say(town, crashing())
    town.settle(10)
    (comment,) = town.forge.comments(REPOSITORY, 1)
    assert "with exit code 3: panic: no such table" in comment.body
    assert "its own log" in comment.body


def test_a_quota_that_holds_up_a_sync_is_the_reason(town: Town) -> None:
    over = event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-6d4b75cb6d")
    town.argocd.finishes(
        NAMES.application, health="Progressing", operation_phase="Running", sync="OutOfSync"
    )
    say(town, Workload(notices=notices_of([over])))
    town.settle(10)
    assert town.record(1).reason == "QuotaExceeded"


def test_a_cluster_that_does_not_answer_fails_nothing_and_leaves_what_is_known(town: Town) -> None:
    town.cluster.is_unreachable = True
    town.settle(10)
    assert (town.phase(1), town.record(1).reason) == (Phase.DEPLOYING, "HealthProgressing")
    town.cluster.is_unreachable = False
    say(town, without_image())
    town.settle(40)
    town.cluster.is_unreachable = True
    town.settle(120)
    assert town.record(1).reason == "ImagePullFailed"


def test_however_often_a_preview_changes_its_pods_are_read_seldom(town: Town) -> None:
    town.cluster.workloads_read.clear()
    for message in range(20):
        town.cluster.put_application(NAMES.application, operation_message=f"wave {message}")
        town.settle(0)
    assert town.cluster.workloads_read[NAMES.namespace] <= 1


def test_pods_of_what_is_well_or_sleeps_are_not_read(town: Town) -> None:
    town.argocd.finishes(NAMES.application)
    town.settle()
    town.loop.actions.sleep(PreviewKey("shop", 1), actor="octo-dev")
    town.settle()
    town.argocd.finishes(NAMES.application, health="Progressing")
    town.settle()
    town.cluster.workloads_read.clear()
    town.cluster.put_application(NAMES.application, health="Degraded")
    town.settle()
    assert town.phase(1) is Phase.ASLEEP
    assert not town.cluster.workloads_read


def test_of_other_manifests_nothing_is_said(town: Town) -> None:
    """A commit that is on its way is not told what was wrong with the one before."""
    say(town, crashing())
    town.settle(10)
    assert town.phase(1) is Phase.DEGRADED
    # Argo CD does not look: the Application in the cluster is still that of the first commit.
    town.cluster.on_refresh = lambda _name: None
    town.push(1)
    town.settle(5)
    town.cluster.workloads_read.clear()
    town.settle(60)
    assert (town.phase(1), town.record(1).reason) == (Phase.PROVISIONING, "WaitingForArgoCD")
    assert not town.cluster.workloads_read


def test_pods_that_argo_cd_may_be_about_to_replace_are_not_blamed(town: Town) -> None:
    old = in_a_crash_loop()
    old["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    under_way = {"health": "Degraded", "operation_phase": "Running", "sync": "OutOfSync"}
    town.argocd.finishes(NAMES.application, **under_way)
    say(town, Workload(pods=pods_of([old])))
    town.settle(10)
    assert town.record(1).reason == "Syncing"
    town.argocd.finishes(NAMES.application, health="Degraded")
    town.settle(10)
    assert town.record(1).reason == "Crashing"


def test_one_fault_is_written_once_however_its_log_differs(town: Town) -> None:
    say(town, crashing("12:00:01 panic: 0x7f00 no such table"))
    town.settle(60)
    assert isinstance(town.witness, CountingWitness)
    before = dict(town.witness.counts)
    for second in range(2, 9):
        say(town, crashing(f"12:00:0{second} panic: 0x7f{second}0 no such table"))
        town.settle(40)
    assert town.witness.counts == before
    say(town, crashing("12:01:00 panic: disk full"))
    town.settle(40)
    assert "disk full" in town.record(1).message
    assert town.witness.counts[Effect.SET_STATUS] == before[Effect.SET_STATUS] + 1


def test_a_program_that_runs_between_two_crashes_does_not_look_well(town: Town) -> None:
    say(town, crashing())
    town.settle(20)
    between = pod(container(running(), before=terminated(3), restarts=2, ready=True))
    say(town, Workload(pods=pods_of([between])))
    town.settle(10)
    assert town.record(1).reason == "Crashing"
    town.settle(120)
    assert town.record(1).reason == "HealthProgressing", "it has run for a while now"

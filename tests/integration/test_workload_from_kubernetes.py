"""The pods of a preview and what went wrong with them, asked of an API server that says what a test wants."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.domain.diagnosis import diagnose
from previews.errors import PreviewsError, StalledError, TransientError
from tests.fakes.raw_pods import (
    QUOTA,
    container,
    event,
    in_a_crash_loop,
    pod,
    running,
    terminated,
    with_no_image,
)
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

NAMESPACE = "preview-shop-pr-7"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
LOG = f"{PODS}/app-6d4b75cb6d-x7x2p/log"


class API:
    """One namespace, in pages if a test says so."""

    def __init__(self) -> None:
        self.pods: list[object] = []
        self.events: list[object] = []
        self.log_code, self.log = 200, b"listening\npanic: no such table: goods\n"
        self.refused: dict[str, int] = {}
        self.is_endless = False

    def answer(self, asked: Asked, reply: Reply) -> None:
        if code := self.refused.get(asked.path):
            reply.json(code, {"kind": "Status", "reason": "Refused", "message": "no", "code": code})
        elif asked.path.endswith("/log"):
            reply.send(self.log_code, self.log, Content_Type="text/plain")
        else:
            items = self.pods if asked.path == PODS else self.events
            metadata: dict[str, Any] = {"resourceVersion": "9"}
            if self.is_endless:
                metadata["continue"] = "more"
            reply.json(200, {"metadata": metadata, "items": items})


@pytest.fixture
def api() -> API:
    return API()


@pytest.fixture
def server(api: API) -> Iterator[ScriptedServer]:
    with ScriptedServer(api.answer) as server:
        yield server


@pytest.fixture
def cluster(server: ScriptedServer, tmp_path: Path) -> KubernetesCluster:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    times = ClusterTimes(connect_seconds=1.0, read_seconds=5.0)
    return KubernetesCluster(
        kubeconfig=kubeconfig, argocd_namespace="argocd", instance="acme", times=times
    )


def test_two_lists_tell_that_an_image_is_not_there(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.pods = [with_no_image()]
    cause = diagnose(cluster.workload(NAMESPACE))
    assert cause is not None
    assert cause.reason == "ImagePullFailed"
    pods, events = server.asked
    assert (pods.path, events.path) == (PODS, EVENTS)
    assert events.query["fieldSelector"] == "type=Warning"
    assert "fieldSelector" not in pods.query


def test_the_last_lines_of_the_run_that_crashed_are_read_without_passwords(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.pods = [in_a_crash_loop()]
    api.log = b"\n".join(
        [b"one", b"two", b"", b"\x1b[31mcannot log in: password=hunter2\x1b[0m", b"bye"]
    )
    found = cluster.workload(NAMESPACE)
    assert found.last_words == "two\ncannot log in: password=***\nbye"
    log = server.asked[-1]
    assert log.path == LOG
    assert log.query["container"] == "app"
    assert log.query["previous"] == "true"
    assert int(log.query["tailLines"]) > 0
    assert int(log.query["limitBytes"]) > 0


def test_of_a_container_that_was_not_started_again_its_only_run_is_read(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.pods = [pod(container(terminated(1)), phase="Failed")]
    cluster.workload(NAMESPACE)
    assert "previous" not in server.asked[-1].query


def test_without_a_crash_no_log_is_read(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.pods = [pod(container(running(), ready=True), phase="Running")]
    assert cluster.workload(NAMESPACE).last_words == ""
    assert len(server.asked) == 2


@pytest.mark.parametrize("code", [400, 403, 404, 500])
def test_a_log_that_cannot_be_had_hides_nothing_else(
    api: API, cluster: KubernetesCluster, code: int
) -> None:
    api.pods, api.refused = [in_a_crash_loop()], {LOG: code}
    found = cluster.workload(NAMESPACE)
    assert found.last_words == ""
    cause = diagnose(found)
    assert cause is not None
    assert cause.reason == "Crashing"


def test_a_quota_is_told_by_an_event_alone(api: API, cluster: KubernetesCluster) -> None:
    api.events = [event("FailedCreate", QUOTA, kind="ReplicaSet", name="app-6d4b75cb6d")]
    cause = diagnose(cluster.workload(NAMESPACE))
    assert cause is not None
    assert cause.reason == "QuotaExceeded"


@pytest.mark.parametrize("path", [PODS, EVENTS])
@pytest.mark.parametrize(
    ("code", "kind"), [(403, StalledError), (500, TransientError), (503, TransientError)]
)
def test_a_refusal_is_an_error_and_no_empty_namespace(
    api: API, cluster: KubernetesCluster, path: str, code: int, kind: type[PreviewsError]
) -> None:
    api.refused = {path: code}
    with pytest.raises(kind):
        cluster.workload(NAMESPACE)


def test_a_namespace_that_is_full_is_not_read_to_its_end(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.is_endless = True
    api.pods = [with_no_image()] * 100
    api.events = [event("Failed", "x" * 1024)] * 100
    found = cluster.workload(NAMESPACE)
    assert len(found.pods) == 300
    assert len(found.notices) == 1000
    assert len(server.asked) == 13


def test_what_is_no_pod_does_no_harm(api: API, cluster: KubernetesCluster) -> None:
    api.pods = [None, 7, {"metadata": None, "spec": [], "status": "?"}]
    api.events = ["boo", {"involvedObject": 3, "count": "9", "lastTimestamp": 1}]
    assert diagnose(cluster.workload(NAMESPACE)) is None

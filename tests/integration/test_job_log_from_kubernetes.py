"""The log of a migration that failed, asked of an API server that says what a test wants."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

PODS = "/api/v1/namespaces/preview-shop-pr-7/pods"
LOG = f"{PODS}/migrate-1-b/log"


def failed_pod(name: str = "migrate-1-b") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-22T17:00:00Z"},
        "spec": {"containers": [{"name": "migrate"}]},
        "status": {"phase": "Failed"},
    }


def status(code: int, reason: str, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": "pods"}
    return {"kind": "Status", "reason": reason, "message": "no", "code": code, "details": details}


class API:
    """One namespace's pods, and what is said when the log of one is asked for."""

    def __init__(self) -> None:
        self.pods = [failed_pod()]
        self.code, self.log = 200, b'ERROR: relation "goods" exists\n'
        self.refusal: dict[str, Any] | None = None

    def answer(self, asked: Asked, reply: Reply) -> None:
        if asked.path == PODS and self.refusal is None:
            reply.json(200, {"metadata": {"resourceVersion": "9"}, "items": self.pods})
        elif self.refusal is not None:
            reply.json(self.code, self.refusal)
        else:
            reply.send(self.code, self.log, Content_Type="text/plain")


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
    times = ClusterTimes(connect_seconds=1.0, read_seconds=0.3)
    return KubernetesCluster(
        kubeconfig=kubeconfig, argocd_namespace="argocd", instance="acme", times=times
    )


def test_the_end_of_the_newest_failed_pods_log_is_read(
    cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    assert cluster.job_log("preview-shop-pr-7", 20) == 'ERROR: relation "goods" exists'
    listed, read = server.asked
    assert listed.path == PODS
    assert listed.query["labelSelector"] == "app.kubernetes.io/component=migrate"
    assert read.path == LOG
    assert read.query["container"] == "migrate"
    assert int(read.query["tailLines"]) >= 20
    assert int(read.query["limitBytes"]) > 0


def test_without_a_failed_pod_there_is_no_log(
    api: API, cluster: KubernetesCluster, server: ScriptedServer
) -> None:
    api.pods = []
    assert cluster.job_log("preview-shop-pr-7", 20) == ""
    assert [each.path for each in server.asked] == [PODS]


def test_bytes_that_are_no_text_do_no_harm(api: API, cluster: KubernetesCluster) -> None:
    api.log = b"\xff\xfe failed\n"
    assert "failed" in cluster.job_log("preview-shop-pr-7", 20)


@pytest.mark.parametrize(
    ("code", "kind"), [(403, StalledError), (500, TransientError), (503, TransientError)]
)
def test_a_refusal_is_an_error_and_no_empty_log(
    api: API, cluster: KubernetesCluster, code: int, kind: type[PreviewsError]
) -> None:
    api.code, api.refusal = code, status(code, "Refused", "x")
    with pytest.raises(kind):
        cluster.job_log("preview-shop-pr-7", 20)


def test_a_pod_that_has_just_gone_has_no_log(api: API, cluster: KubernetesCluster) -> None:
    api.code, api.log = 404, json.dumps(status(404, "NotFound", "migrate-1-b")).encode()
    assert cluster.job_log("preview-shop-pr-7", 20) == ""

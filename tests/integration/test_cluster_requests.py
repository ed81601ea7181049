"""What the cluster adapter asks of an API server by itself, and which answers it believes."""

import json
from pathlib import Path

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.errors import ConfigurationError, StalledError, TransientError
from tests.integration.watched_api import (
    SHOP_42,
    APIServer,
    Raw,
    application,
    refusing,
    status,
    story,
)

APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop-pr-42"
NOT_FOUND = status(404, "NotFound", name="shop-pr-42", kind="applications")


def test_absence_is_believed_only_of_kubernetes_own_word_about_that_object(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(404, NOT_FOUND)
        assert it.cluster.fetch_application("shop-pr-42") is None
        for code, content in [
            (404, "404 page not found"),
            (404, status(404, "NotFound")),
            (404, {**NOT_FOUND, "kind": "Error"}),
            (200, "<html>sign in</html>"),
            (200, ["a list"]),
            (302, {}),
            (503, NOT_FOUND),
        ]:
            api.objects[f"GET {APPLICATION}"] = refusing(code, content)
            with pytest.raises(TransientError) as raised:
                it.cluster.fetch_application("shop-pr-42")
            assert raised.value.reason == "ClusterAnswer"


def test_a_list_that_is_none_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    no_lists: list[object] = [{}, {"items": None, "metadata": {"resourceVersion": "1"}}, "x"]
    for content in [*no_lists, {"items": []}]:
        api.lists.put(refusing(200, content))
    with story(tmp_path, api) as it:
        it.start()
        assert it.next_change() == SHOP_42
        assert len(it.lists_of_applications()) == 5


def test_a_refresh_is_asked_for_by_annotation(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.objects[f"PATCH {APPLICATION}"] = refusing(200, application(42, 5))
        assert it.cluster.refresh_application("shop-pr-42")
        patch = it.server.asked[-1]
        assert patch.headers["content-type"] == "application/merge-patch+json"
        annotations = json.loads(patch.body)["metadata"]["annotations"]
        assert annotations.keys() == {"argocd.argoproj.io/refresh"}
        assert it.cluster.refresh_application("shop-pr-42")
        again = json.loads(it.server.asked[-1].body)["metadata"]["annotations"]
        assert again != annotations, "the same value again would be no event to Argo CD"
        api.objects[f"PATCH {APPLICATION}"] = refusing(404, NOT_FOUND)
        assert not it.cluster.refresh_application("shop-pr-42")
        api.objects[f"PATCH {APPLICATION}"] = refusing(403, status(403, "Forbidden", "no"))
        with pytest.raises(StalledError, match=r"may not patch applications\.argoproj\.io"):
            it.cluster.refresh_application("shop-pr-42")
        api.objects[f"PATCH {APPLICATION}"] = refusing(
            429, status(429, "TooManyRequests"), Retry_After="7"
        )
        with pytest.raises(TransientError) as raised:
            it.cluster.refresh_application("shop-pr-42")
        assert raised.value.retry_after_seconds == 7


@pytest.mark.fault(35)
def test_an_operation_is_ended_on_the_version_that_was_read_and_again_after_a_conflict(
    tmp_path: Path,
) -> None:
    api = APIServer()
    raw = application(42, 7, deletionTimestamp="2026-01-01T00:00:00Z")
    raw["operation"] = {"sync": {}}
    raw["status"]["operationState"] = {"phase": "Running"}
    answers = iter([(409, status(409, "Conflict")), (200, raw)])
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(200, raw)
        api.objects[f"PATCH {APPLICATION}"] = lambda _asked, reply: reply.json(*next(answers))
        meant = it.cluster.fetch_application("shop-pr-42")
        assert meant is not None
        it.cluster.end_operation(meant)
        patches = [asked for asked in it.server.asked if asked.method == "PATCH"]
        assert [json.loads(patch.body) for patch in patches] == 2 * [
            {
                "metadata": {"uid": "u-42", "resourceVersion": "7"},
                "status": {"operationState": {"phase": "Terminating"}},
            }
        ]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"deletionTimestamp": None}},
        {"metadata": {"uid": "another"}},
        {"metadata": {"labels": {}}},
        {"operation": None},
        {"status": None},
        {"status": {"operationState": {"phase": "Terminating"}}},
    ],
    ids=["not deleting", "another object", "not ours", "over", "not begun", "ending already"],
)
def test_no_other_operation_is_ended(tmp_path: Path, change: Raw) -> None:
    api = APIServer()
    raw = application(42, 7, deletionTimestamp="2026-01-01T00:00:00Z")
    raw["operation"] = {"sync": {}}
    raw["status"]["operationState"] = {"phase": "Running"}
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(200, raw)
        meant = it.cluster.fetch_application("shop-pr-42")
        assert meant is not None
        metadata = {**raw["metadata"], **change.get("metadata", {})}
        changed = {**raw, **change, "metadata": {k: v for k, v in metadata.items() if v}}
        api.objects[f"GET {APPLICATION}"] = refusing(200, changed)
        it.cluster.end_operation(meant)
        api.objects[f"GET {APPLICATION}"] = refusing(404, NOT_FOUND)
        it.cluster.end_operation(meant)
        assert {asked.method for asked in it.server.asked} == {"GET"}


@pytest.mark.parametrize("content", [None, "", "a: [", "just text", "{}", "clusters: 3"])
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    with pytest.raises(ConfigurationError, match=r"no access to Kubernetes from .*kubeconfig"):
        KubernetesCluster(kubeconfig=kubeconfig, argocd_namespace="argocd", instance="acme")


def test_outside_a_cluster_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="from the pod's service account"):
        KubernetesCluster(kubeconfig=None, argocd_namespace="argocd", instance="acme")


def test_a_server_that_does_not_answer_in_time_is_said_to(tmp_path: Path) -> None:
    api = APIServer()
    api.objects[f"GET {APPLICATION}"] = lambda _asked, reply: reply.hang()
    with (
        story(tmp_path, api, ClusterTimes(read_seconds=0.2)) as it,
        pytest.raises(TransientError, match="does not answer: timed out") as raised,
    ):
        it.cluster.fetch_application("shop-pr-42")
    assert raised.value.reason == "ClusterUnreachable"

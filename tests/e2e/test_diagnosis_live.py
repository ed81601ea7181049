"""Pods that really do not come up, and what is said of each: by the adapter under its own rights, and in a life."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.cluster import KubernetesCluster
from previews.domain.diagnosis import Cause, diagnose
from tests.cluster import RunningCluster
from tests.manager_rights import manager_kubeconfig
from tests.world.image import ImageRepository, build_image
from tests.world.kubernetes import Kubernetes
from tests.world.pull_request import Page
from tests.world.waiting import wait_until
from tests.world.world import SAMPLE, World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Object = dict[str, Any]

PROGRAM = {
    "go.mod": "module unwell\n\ngo 1.22\n",
    "main.go": """package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	switch os.Args[1] {
	case "crash":
		fmt.Println("starting")
		fmt.Println("cannot reach the warehouse: password=hunter2")
		os.Exit(3)
	case "hog":
		var held [][]byte
		for {
			block := make([]byte, 8<<20)
			for i := range block {
				block[i] = 1
			}
			held = append(held, block)
			time.Sleep(20 * time.Millisecond)
			fmt.Println(len(held))
		}
	default:
		time.Sleep(time.Hour)
	}
}
""",
}


@pytest.fixture(scope="module")
def image(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ImageRepository]:
    """Has a program that does as it is told, as `unwell`."""
    source = tmp_path_factory.mktemp("unwell")
    for name, text in PROGRAM.items():
        (source / name).write_text(text)
    repository = ImageRepository(cluster.registry, f"e2e-diagnosis-{secrets.token_hex(3)}/unwell")
    try:
        repository.push(build_image(source, "unwell"), "unwell")
        yield repository
    finally:
        repository.remove_all()
        repository.close()


@pytest.fixture(scope="module")
def eyes(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubernetesCluster]:
    """What the manager sees, by the manager's own rights."""
    with manager_kubeconfig(
        cluster,
        tmp_path_factory.mktemp("manager"),
        home=f"previews-e2e-{secrets.token_hex(3)}",
        argocd_namespace=cluster.argocd_namespace,
    ) as kubeconfig:
        yield KubernetesCluster(
            kubeconfig=kubeconfig, argocd_namespace=cluster.argocd_namespace, instance="e2e"
        )


@pytest.fixture
def namespace(cluster: RunningCluster) -> Iterator["Ward"]:
    kubernetes = Kubernetes(cluster)
    ward = Ward(kubernetes, f"e2e-diagnosis-{secrets.token_hex(3)}")
    try:
        yield ward
    finally:
        kubernetes.delete(f"/api/v1/namespaces/{ward.name}")
        kubernetes.close()


class Ward:
    """A namespace, and a Deployment in it."""

    def __init__(self, kubernetes: Kubernetes, name: str) -> None:
        self._kubernetes = kubernetes
        self.name = name
        kubernetes.create("/api/v1/namespaces", {"metadata": {"name": name}})

    def limit_memory(self, amount: str) -> None:
        self._kubernetes.create(
            f"/api/v1/namespaces/{self.name}/resourcequotas",
            {"metadata": {"name": "preview"}, "spec": {"hard": {"limits.memory": amount}}},
        )

    def deploy(self, image: str, *arguments: str, **container: object) -> None:
        labels = {"app": "shop"}
        limits = {"cpu": "200m", "memory": "48Mi"}
        wanted: Object = {
            "name": "shop",
            "image": image,
            "args": list(arguments),
            "imagePullPolicy": "IfNotPresent",
            "resources": {"limits": limits, "requests": {"cpu": "10m", "memory": "16Mi"}},
            **container,
        }
        self._kubernetes.create(
            f"/apis/apps/v1/namespaces/{self.name}/deployments",
            {
                "metadata": {"name": "shop"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "automountServiceAccountToken": False,
                            "terminationGracePeriodSeconds": 1,
                            "containers": [wanted],
                        },
                    },
                },
            },
        )


def until(
    eyes: KubernetesCluster, ward: Ward, is_wanted: Callable[[Cause], bool], what: str
) -> Cause:
    """The cause, as soon as it is as wanted."""

    def look() -> Cause | None:
        found = diagnose(eyes.workload(ward.name))
        return found if found is not None and is_wanted(found) else None

    return wait_until(what, look, explain=lambda: repr(eyes.workload(ward.name)))


def until_final(eyes: KubernetesCluster, ward: Ward, reason: str) -> Cause:
    return until(
        eyes,
        ward,
        lambda found: found.reason == reason and found.is_final,
        f"{reason}, and nothing but somebody can help",
    )


def test_an_image_that_is_not_there(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    namespace.deploy(f"{image.reference}:nobody-built-this")
    cause = until_final(eyes, namespace, "ImagePullFailed")
    assert f"{image.reference}:nobody-built-this is not in the registry" in cause.message


def test_a_program_that_ends_with_an_error(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    namespace.deploy(f"{image.reference}:unwell", "crash")
    cause = until_final(eyes, namespace, "Crashing")
    assert cause.message == (
        "shop ends again and again, with exit code 3: starting / cannot reach the warehouse: password=***"
    )


def test_a_program_that_is_not_in_its_image(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    namespace.deploy(f"{image.reference}:unwell", command=["/nowhere"])
    cause = until_final(eyes, namespace, "ContainerCannotStart")
    assert "/nowhere" in cause.message


def test_a_program_that_takes_more_memory_than_it_may(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    namespace.deploy(f"{image.reference}:unwell", "hog")
    assert "more memory than its limit" in until_final(eyes, namespace, "OutOfMemory").message


def test_a_program_that_never_becomes_ready(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    probe: Mapping[str, object] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    namespace.deploy(f"{image.reference}:unwell", "sleep", readinessProbe=probe)
    cause = until(eyes, namespace, lambda found: found.reason == "ProbeFailing", "ProbeFailing")
    assert "shop runs and is not ready: readiness probe failed" in cause.message
    assert not cause.is_final


def test_a_secret_that_is_not_there(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    missing = [{"secretRef": {"name": "nobody-made-this"}}]
    namespace.deploy(f"{image.reference}:unwell", "sleep", envFrom=missing)
    cause = until(eyes, namespace, lambda found: found.reason == "ConfigMissing", "ConfigMissing")
    assert 'secret "nobody-made-this" not found' in cause.message


def test_a_pod_that_no_node_has_room_for(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    much = {"limits": {"memory": "9000Gi"}, "requests": {"memory": "9000Gi"}}
    namespace.deploy(f"{image.reference}:unwell", "sleep", resources=much)
    cause = until(eyes, namespace, lambda found: found.reason == "Unschedulable", "Unschedulable")
    assert "Insufficient memory" in cause.message


def test_a_pod_that_the_quota_has_no_room_for(
    eyes: KubernetesCluster, namespace: Ward, image: ImageRepository
) -> None:
    namespace.limit_memory("16Mi")
    namespace.deploy(f"{image.reference}:unwell", "sleep")
    cause = until_final(eyes, namespace, "QuotaExceeded")
    assert "quota preview" in cause.message
    assert "limits.memory=48Mi" in cause.message


CRASHES = {
    "main.go": PROGRAM["main.go"].replace("os.Args[1]", '"crash"'),
    "orders.go": "package main\n",
}


def test_a_commit_that_crashes_says_so_on_its_pull_request_and_the_next_one_is_live(
    world: World,
) -> None:
    pull_request = world.open_pull_request(
        "crashes", Page("Crash", "It does not run."), files=CRASHES
    )
    wait_until(
        "the API has the reason",
        lambda: (
            (said := pull_request.preview()).get("phase") == "Degraded"
            and said["reason"] == "Crashing"
        ),
        explain=pull_request.explain,
    )
    said = pull_request.preview()
    assert "with exit code 3" in said["message"]
    assert "cannot reach the warehouse: password=***" in said["message"]
    assert said["remedy"]
    wait_until(
        "the pull request says so",
        lambda: (
            pull_request.status().get("status") == "failure"
            and "exit code 3" in pull_request.status()["description"]
            and any("→ Mend what its own log names" in text for text in pull_request.comments())
        ),
        explain=pull_request.explain,
    )

    mended: Mapping[str, str | None] = {name: Path(SAMPLE, name).read_text() for name in CRASHES}
    pull_request.push(Page("Mended", "It runs."), files=mended)
    pull_request.wait_until_live()
    pull_request.wait_until_announced()
    pull_request.close()
    pull_request.wait_until_removed()

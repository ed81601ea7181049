"""The fake Argo CD does what the real one was seen to do, where the manager depends on it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from previews.domain.preview import PreviewKey
from tests.fakes.argocd import FakeArgoCD
from tests.fakes.cluster import FakeCluster

TOP = "acme-previews"
SHARD, OTHER = "acme-shop-2", "acme-shop-3"


def root(name: str, folder: str) -> str:
    return manifest("Application", name, spec={"source": {"path": f"previews/{folder}"}}, labels={})


def manifest(kind: str, name: str, **rest: Any) -> str:  # noqa: ANN401 whatever a manifest holds
    ours = {"previews.dev/instance": "acme", **rest.pop("labels", {})}
    annotations = rest.pop("annotations", {})
    return json.dumps(
        {
            "kind": kind,
            "metadata": {"name": name, "labels": ours, "annotations": annotations},
            **rest,
        }
    )


def preview(number: int, tag: str = "t1") -> dict[str, str]:
    folder = f"shop/{number // 20}/pr-{number}"
    name = f"shop-pr-{number}"
    marks = {"previews.dev/project": "shop", "pr": str(number)}
    helm = {
        "valuesObject": {"image": {"repository": "registry.example/shop"}},
        "parameters": [{"name": "image.tag", "value": tag}],
    }
    application = manifest(
        "Application",
        name,
        labels=marks,
        annotations={"previews.dev/digest": tag},
        spec={"source": {"helm": helm}},
    )
    namespace = manifest("Namespace", f"preview-{name}", labels=marks)
    project = manifest("AppProject", f"preview-{name}", labels=marks)
    return {
        f"{folder}/application.yaml": application,
        f"{folder}/namespace.yaml": f"{namespace}\n---\n{project}\n",
    }


ROOTS = {
    "roots/shop-2.yaml": root(SHARD, "shop/2"),
    "roots/shop-3.yaml": root(OTHER, "shop/3"),
    "shop/2/keep.yaml": manifest("ConfigMap", "keep-2"),
    "shop/3/keep.yaml": manifest("ConfigMap", "keep-3"),
}


def without(files: Mapping[str, str], *parts: str) -> dict[str, str]:
    return {path: text for path, text in files.items() if not any(p in path for p in parts)}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(instance="acme")


@pytest.fixture
def argocd(cluster: FakeCluster) -> FakeArgoCD:
    return FakeArgoCD(cluster)


def test_what_is_in_git_is_deployed(cluster: FakeCluster, argocd: FakeArgoCD) -> None:
    argocd.looks(ROOTS | preview(42), "c1")
    found = cluster.applications["shop-pr-42"]
    assert found.owner == PreviewKey("shop", 42)
    assert (found.digest, found.sync, found.health) == ("t1", "Synced", "Healthy")
    assert found.proven_for_spec
    assert found.images == {"registry.example/shop:t1"}
    assert cluster.namespaces["preview-shop-pr-42"].owner == PreviewKey("shop", 42)
    assert cluster.app_projects == {"preview-shop-pr-42"}
    assert cluster.applications[SHARD].revisions == {"c1"}


def test_right_after_a_change_all_says_synced_and_healthy_about_the_old_image(
    cluster: FakeCluster, argocd: FakeArgoCD
) -> None:
    argocd.looks(ROOTS | preview(42), "c1")
    argocd.deploys = False
    argocd.looks(ROOTS | preview(42, "t2"), "c2")
    found = cluster.applications["shop-pr-42"]
    assert (found.digest, found.sync, found.health) == ("t2", "Synced", "Healthy")
    assert not found.proven_for_spec
    assert found.images == {"registry.example/shop:t1"}
    argocd.finishes("shop-pr-42", health="Progressing")
    found = cluster.applications["shop-pr-42"]
    assert (found.proven_for_spec, found.health) == (True, "Progressing")


def test_a_root_sees_only_its_own_folder_and_only_when_it_looks(
    cluster: FakeCluster, argocd: FakeArgoCD
) -> None:
    argocd.looks(ROOTS, "c1")
    argocd.looks(ROOTS | preview(42) | preview(62), "c2", SHARD)
    assert "shop-pr-42" in cluster.applications
    assert "shop-pr-62" not in cluster.applications
    assert cluster.applications[OTHER].revisions == {"c1"}


def test_a_shard_that_the_root_of_all_roots_has_not_seen_does_not_exist(
    cluster: FakeCluster, argocd: FakeArgoCD
) -> None:
    argocd.looks(ROOTS | preview(42), "c1", SHARD)
    assert SHARD not in cluster.applications
    argocd.looks(ROOTS | preview(42), "c1", TOP)
    assert "shop-pr-42" in cluster.applications


def test_a_root_that_is_gone_takes_its_previews_along(
    cluster: FakeCluster, argocd: FakeArgoCD
) -> None:
    argocd.looks(ROOTS | preview(42) | preview(62), "c1")
    argocd.looks(without(ROOTS, "roots/shop-2") | preview(42) | preview(62), "c2", TOP)
    assert set(cluster.applications) == {TOP, OTHER, "shop-pr-62"}
    assert set(cluster.namespaces) == {"preview-shop-pr-62"}


def test_no_root_prunes_to_nothing(cluster: FakeCluster, argocd: FakeArgoCD) -> None:
    argocd.looks(ROOTS | preview(42), "c1")
    argocd.looks(without(ROOTS, "shop/2/"), "c2")
    assert "shop-pr-42" in cluster.applications
    assert cluster.applications[SHARD].problems


def test_a_removal_that_is_held_stays_and_what_is_still_wanted_comes_back(
    cluster: FakeCluster, argocd: FakeArgoCD
) -> None:
    argocd.looks(ROOTS | preview(42), "c1")
    cluster.hold("shop-pr-42")
    cluster.hold("preview-shop-pr-42", "NamespaceFinalizersRemaining: example.org/never")
    argocd.looks(ROOTS, "c2")
    assert cluster.applications["shop-pr-42"].deleting
    assert cluster.namespaces["preview-shop-pr-42"].problems
    first = cluster.applications["shop-pr-42"].uid
    argocd.looks(ROOTS | preview(42), "c3")
    cluster.let_go("shop-pr-42")
    assert "shop-pr-42" not in cluster.applications
    argocd.looks(ROOTS | preview(42), "c3")
    assert cluster.applications["shop-pr-42"].uid != first

"""Fixtures for all that is told to every forge and every cluster: forge_places.py and clusters.py say what they are."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import RunningCluster, preflight, running
from tests.contract.clusters import FakeWorld, KubernetesWorld, World
from tests.contract.forge_places import Place, fake_place, gitea_place, github_place
from tests.e2e.gitea_world import GiteaWorld
from tests.manager_rights import manager_kubeconfig


@pytest.fixture(scope="session")
def gitea_world() -> Iterator[GiteaWorld]:
    cluster = running()
    if cluster is None:
        pytest.skip(preflight() or "the local cluster does not run: make cluster-up")
    with GiteaWorld(cluster) as world:
        yield world


@pytest.fixture
def fake() -> Place:
    return fake_place()


@pytest.fixture
def github(token_file: Path) -> Iterator[Place]:
    with github_place(token_file) as place:
        yield place


@pytest.fixture
def gitea(token_file: Path, gitea_world: GiteaWorld) -> Iterator[Place]:
    with gitea_place(token_file, gitea_world) as place:
        yield place


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture(params=["fake", "github", pytest.param("gitea", marks=pytest.mark.e2e)])
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="session")
def kubernetes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningCluster, Path, str]]:
    """The cluster, the rights of a manager in it, and the namespace that it takes for Argo CD's."""
    found = running()
    if found is None:
        pytest.skip(preflight() or "the local cluster does not run: make cluster-up")
    home = f"previews-contract-{secrets.token_hex(3)}"
    with manager_kubeconfig(
        found, tmp_path_factory.mktemp("manager"), home=home, argocd_namespace=home
    ) as file:
        yield found, file, home


@pytest.fixture(params=["fake", pytest.param("kubernetes", marks=pytest.mark.e2e)])
def cluster_world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    real = KubernetesWorld(*request.getfixturevalue("kubernetes"))
    try:
        yield real
    finally:
        real.clear()

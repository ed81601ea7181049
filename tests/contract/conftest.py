"""One fixture for all that is told to every forge. tests/contract/forge_places.py says what they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import preflight, running
from tests.contract.forge_places import Place, fake_place, gitea_place, github_place
from tests.e2e.gitea_world import GiteaWorld


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

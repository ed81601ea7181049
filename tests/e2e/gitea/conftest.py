"""The real Gitea with a new repository for each test, and the manager's adapter there with a token of few rights."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from previews.adapters.forges.gitea import GiteaForge
from tests.cluster import RunningCluster
from tests.e2e.gitea_world import GiteaWorld


@pytest.fixture(scope="module")
def gitea_world(cluster: RunningCluster) -> Iterator[GiteaWorld]:
    with GiteaWorld(cluster) as world:
        yield world


@pytest.fixture
def world(gitea_world: GiteaWorld) -> GiteaWorld:
    gitea_world.add_repository()
    return gitea_world


@pytest.fixture
def token_file(tmp_path: Path, world: GiteaWorld) -> Path:
    file = tmp_path / "token"
    file.write_text(world.token)
    return file


@pytest.fixture
def forge(token_file: Path, world: GiteaWorld) -> Iterator[GiteaForge]:
    with closing(GiteaForge(api_url=world.url, token_file=token_file)) as forge:
        yield forge

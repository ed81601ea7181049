"""The isolated cluster, two previews that people opened, and what stands around them."""

from collections.abc import Iterator

import pytest

from tests.bind.installation import programs
from tests.bind.server import BindProcess
from tests.cluster import RunningCluster, preflight, running
from tests.isolation.busybox import busybox_in
from tests.isolation.pods import Pod, namespace_of_nobody, start_pod
from tests.isolation.surroundings import NAME, SHOP, ZONE, Preview, live_preview
from tests.world.database import missing_server
from tests.world.exclusive import alone_on
from tests.world.world import World, WorldOptions

CANNOT_RUN = 3
WHAT_TO_DO = (
    "these tests need the isolated cluster: `make cluster-down` if another one is up, then "
    "`make cluster-up ARGS=--isolated` (a quarter of an hour the first time)"
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[RunningCluster]:
    found = running()
    if found is None or not found.is_isolated:
        pytest.exit(preflight(is_isolated=True) or WHAT_TO_DO, returncode=CANNOT_RUN)
    if missing := missing_server():
        pytest.exit(missing, returncode=CANNOT_RUN)
    with alone_on(found.directory, "the tests of isolation"):
        yield found


@pytest.fixture(scope="session")
def image(cluster: RunningCluster) -> Iterator[str]:
    with busybox_in(cluster.registry, NAME) as reference:
        yield reference


@pytest.fixture(scope="session")
def world(cluster: RunningCluster) -> Iterator[World]:
    options = WorldOptions(
        name=NAME,
        project=f"{NAME}-shop",
        hostname="{project}-pr-{number}.preview.localhost",
        databases=True,
    )
    with World(cluster, options) as world:
        world.manager.start()
        yield world


@pytest.fixture(scope="session")
def preview(world: World, image: str) -> Preview:
    return live_preview(world, image, "fenced")


@pytest.fixture(scope="session")
def neighbour(world: World, image: str) -> Preview:
    return live_preview(world, image, "neighbour")


@pytest.fixture(scope="session")
def stranger(cluster: RunningCluster, image: str) -> Iterator[Pod]:
    """A pod that no policy holds: what it reaches is there to be reached."""
    with namespace_of_nobody(cluster, f"{NAME}-stranger") as name:
        yield start_pod(cluster, image, name)


@pytest.fixture(scope="session")
def ingress(cluster: RunningCluster, image: str) -> Iterator[Pod]:
    """A pod where an ingress controller would be: the cluster's own runs outside of it."""
    with namespace_of_nobody(cluster, "ingress-nginx") as name:
        yield start_pod(cluster, image, name)


@pytest.fixture(scope="session")
def name_server(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A real one, where the kubelet tells every pod that it is."""
    server = BindProcess(
        installed=programs(),
        directory=tmp_path_factory.mktemp("bind"),
        zones={SHOP: ZONE},
        address=cluster.node_ip,
        port=53,
    )
    try:
        server.start()
        yield
    finally:
        server.stop()

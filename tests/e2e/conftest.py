"""The real cluster for the end-to-end tests, and what its parts said when one of them fails."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import RunningCluster, preflight, running
from tests.cluster.progress import tail
from tests.world.exclusive import alone_on
from tests.world.world import World, WorldOptions

LOG_LINES = 80
LINE_LENGTH_MAX = 400
SERVERS = ("argocd-application-controller", "argocd-repo-server", "traefik", "gitea")


@pytest.fixture(scope="session")
def cluster(worker_id: str) -> Iterator[RunningCluster]:
    found = running()
    if found is None:
        pytest.skip(preflight() or "the local cluster is down (make cluster-up)")
    if worker_id != "master":
        yield found  # which tests/conftest.py took for all processes of the run
        return
    with alone_on(found.directory, "the end-to-end tests"):
        yield found


@pytest.fixture(scope="session")
def running_world(cluster: RunningCluster) -> Iterator[World]:
    """One manager that hears webhooks and next to never resyncs: whatever happens, a webhook made it happen."""
    options = WorldOptions(
        name="e2e",
        project="e2e-shop",
        hostname="{project}-pr-{number}.preview.localhost",
        resync="1h",
    )
    with World(cluster, options) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> World:
    """The same, running whatever the test before did."""
    return _running(running_world)


@pytest.fixture(scope="session")
def running_deaf_world(cluster: RunningCluster) -> Iterator[World]:
    """One manager that hears no webhook at all and resyncs all the time."""
    options = WorldOptions(
        name="e2e-deaf",
        project="e2e-deaf-shop",
        hostname="{project}-pr-{number}.preview.localhost",
        webhooks=False,
        resync="2s",
    )
    with World(cluster, options) as world:
        yield world


@pytest.fixture
def deaf_world(running_deaf_world: World) -> World:
    """The same, running whatever the test before did."""
    return _running(running_deaf_world)


def _running(world: World) -> World:
    if not world.manager.is_running:
        world.manager.start()
    return world


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the ends of the logs, the manager's first."""
    report = yield
    used: dict[str, Any] = getattr(item, "funcargs", {})
    worlds = {id(value): value for value in used.values() if isinstance(value, World)}
    if report.failed and worlds:
        for world in worlds.values():
            _show(report, f"manager of {world.options.name}", world.manager.log)
        for server in SERVERS:
            _show(report, server, next(iter(worlds.values())).cluster.log_path(server))
    return report


def _show(report: pytest.TestReport, name: str, log: Path) -> None:
    lines = [line[:LINE_LENGTH_MAX] for line in tail(log, LOG_LINES)]
    report.sections.append((f"{name} ({log})", "\n".join(lines)))

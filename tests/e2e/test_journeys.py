"""What an administrator does to a whole installation: take the manager away, bring it back, take everything away."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from previews.domain.naming import top_root_name
from tests.cluster import RunningCluster
from tests.world.visitor import OK
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(cluster: RunningCluster) -> Iterator[World]:
    options = WorldOptions(
        name="e2e-journey",
        project="e2e-journey-shop",
        hostname="{project}-pr-{number}.preview.localhost",
    )
    with World(cluster, options) as world:
        yield world


def command(world: World, *arguments: str) -> str:
    """The real command, as somebody runs it on another machine."""
    manager = world.manager
    done = subprocess.run(
        [
            *(sys.executable, "-m", "previews", *arguments),
            *("--url", manager.url, "--token-file", str(manager.api_token_file)),
            *("--actor", "ann"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_helm_uninstall_removes_no_preview_and_remove_all_leaves_nothing(world: World) -> None:
    world.manager.start()
    pull_request = world.open_simple_pull_request("stays")
    pull_request.wait_until_live()
    application = pull_request.application()
    assert application is not None
    commits = world.gitops_commits()
    world.manager.stop()

    world.installation.uninstall_with_helm(world.argocds_gitops)
    wait_until(
        "the root of all roots is gone",
        lambda: world.kubernetes.application(top_root_name(world.options.name)) is None,
    )
    after = pull_request.application()
    assert after is not None
    assert after["metadata"]["uid"] == application["metadata"]["uid"]
    assert pull_request.namespace() is not None
    assert pull_request.page().status == OK

    world.installation.install(world.argocds_gitops, world.manager)
    world.manager.start()
    pull_request.wait_until_live()
    assert world.gitops_commits() == commits

    said = command(world, "remove", "--all", "--wait")
    assert pull_request.leftovers() == []
    assert str(pull_request.key) in said
    preview = pull_request.preview()
    assert preview["phase"] == "Expired"
    assert {gone["kind"] for gone in preview["receipt"]["gone"]} == {
        "Application",
        "Namespace",
        "AppProject",
        "Files in Git",
    }

"""A push in whose midst Gitea was killed: its list shows the former commit for ever, and the manager the right one."""

import subprocess
from contextlib import closing
from pathlib import Path

from previews.adapters.forges.gitea import GiteaForge
from previews.domain.preview import HeadSha, parse_head_sha
from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.e2e.gitea_world import GiteaWorld
from tests.world.gitea import Gitea


def move_without_gitea(directory: Path, branch: str) -> HeadSha:
    """A new commit on a branch, of which Gitea hears nothing: what is left of a push that it was killed in."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
        command = ["git", *identity, *arguments]
        return subprocess.run(
            command, cwd=directory, check=True, capture_output=True, text=True
        ).stdout.strip()

    commit = git("commit-tree", f"{branch}^{{tree}}", "-p", branch, "-m", "Pushed")
    git("update-ref", f"refs/heads/{branch}", commit)
    return parse_head_sha(commit)


def test_a_push_that_gitea_was_killed_in_is_listed(
    cluster: RunningCluster, world: GiteaWorld, forge: GiteaForge
) -> None:
    world.open_pull_request(world.repository, "feature")
    bare = Layout(cluster.directory).data / f"gitea/repositories/{world.repository}.git"

    pushed = move_without_gitea(bare, "feature")

    with closing(Gitea(cluster)) as gitea:
        [shown] = gitea.open_pull_requests(world.repository)
    assert shown["head"]["sha"] != pushed
    [listed] = forge.list_open_pull_requests(world.repository)
    assert listed.head_sha == pushed

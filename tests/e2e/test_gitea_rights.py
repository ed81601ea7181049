"""The rights that docs/forges.md asks for are enough at the real Gitea, none is too many, and a missing one is said."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from previews.adapters.forges.gitea import GiteaForge
from previews.domain.conversation import Reaction
from previews.domain.record import CommitStatus, StatusState
from previews.errors import StalledError, TransientError
from tests.cluster import preflight, running
from tests.e2e.gitea_world import TOKEN_SCOPES, GiteaWorld

MARKER = "<!-- previews:acme -->"
PENDING = CommitStatus("preview/shop", StatusState.PENDING, "Deploying", "")


@pytest.fixture(scope="module")
def gitea_world() -> Iterator[GiteaWorld]:
    cluster = running()
    if cluster is None:
        pytest.skip(preflight() or "the local cluster does not run: make cluster-up")
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


def test_a_token_that_gitea_does_not_know_is_said(forge: GiteaForge, token_file: Path) -> None:
    token_file.write_text("0123456789abcdef0123456789abcdef01234567")

    with pytest.raises(TransientError) as caught:
        forge.check()

    assert caught.value.reason == "ForgeCredentials"


@pytest.mark.parametrize("missing", TOKEN_SCOPES)
def test_each_right_is_needed_and_its_lack_is_said(
    world: GiteaWorld, forge: GiteaForge, token_file: Path, missing: str
) -> None:
    number = world.open_pull_request(world.repository)
    fetched = forge.fetch_pull_request(world.repository, number)
    assert fetched is not None
    token_file.write_text(world.token_with(*(each for each in TOKEN_SCOPES if each != missing)))

    def use_all() -> None:
        forge.check()
        forge.list_open_pull_requests(world.repository)
        forge.set_commit_status(world.repository, fetched.head_sha, PENDING)
        comment = forge.ensure_comment(world.repository, number, marker=MARKER, body=MARKER)
        forge.react(world.repository, number, comment, Reaction.DONE)
        assert forge.list_comments(world.repository, number)
        assert forge.permission_of(world.repository, world.author).may_write
        assert forge.list_changed_paths(world.repository, number).paths
        assert forge.read_file(world.repository, "main", "README.md") == ""

    with pytest.raises((TransientError, StalledError), match="scope") as caught:
        use_all()

    assert caught.value.reason in {"ForgeForbidden", "ForgeRefused"}
    token_file.write_text(world.token)
    use_all()


def test_an_account_that_may_only_read_sees_but_cannot_put_a_status(
    world: GiteaWorld, forge: GiteaForge
) -> None:
    number = world.open_pull_request(world.repository)
    world.let_the_manager_only("read")

    fetched = forge.fetch_pull_request(world.repository, number)

    assert fetched is not None
    with pytest.raises(StalledError):
        forge.set_commit_status(world.repository, fetched.head_sha, PENDING)
    assert world.statuses(world.repository, fetched.head_sha) == []

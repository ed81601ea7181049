"""The rights that docs/forges.md asks for are enough at the real Gitea, none is too many, and a missing one is said."""

from pathlib import Path

import pytest

from previews.adapters.forges.gitea import GiteaForge
from previews.domain.conversation import Reaction
from previews.domain.record import CommitStatus, StatusState
from previews.errors import StalledError, TransientError
from tests.e2e.gitea_world import TOKEN_SCOPES, GiteaWorld

MARKER = "<!-- previews:acme -->"
PENDING = CommitStatus("preview/shop", StatusState.PENDING, "Deploying", "")


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

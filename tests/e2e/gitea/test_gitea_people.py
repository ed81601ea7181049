"""What the real Gitea tells of people, drafts and repositories that move: what docs/forges.md says of it is so."""

from pathlib import Path

import pytest

from previews.adapters.forges.gitea import GiteaForge
from previews.domain.conversation import Permission, Reaction
from previews.errors import TransientError
from tests.e2e.gitea_world import TEAMS_SCOPE, TOKEN_SCOPES, GiteaWorld

MARKER = "<!-- previews:acme -->"


def test_only_who_administers_the_repository_is_told_what_others_may_do(
    world: GiteaWorld, forge: GiteaForge
) -> None:
    assert forge.permission_of(world.repository, world.author) is Permission.WRITE
    world.let_the_manager_only("write")

    with pytest.raises(TransientError, match="admins") as caught:
        forge.permission_of(world.repository, world.author)

    assert caught.value.reason == "ForgeForbidden"


def test_a_team_that_may_push_counts_where_the_manager_may_look_into_it(
    world: GiteaWorld, forge: GiteaForge, token_file: Path
) -> None:
    person = f"{world.author}-in-a-team"
    team = world.add_team(world.repository, "repo.code")
    world.add_to_team(team, person)

    assert forge.permission_of(world.repository, person) is Permission.NONE
    token_file.write_text(world.token_with(*TOKEN_SCOPES, TEAMS_SCOPE))
    assert forge.permission_of(world.repository, person) is Permission.NONE
    world.add_to_team(team, world.manager)
    assert forge.permission_of(world.repository, person) is Permission.WRITE


def test_a_team_that_may_not_push_does_not_count(
    world: GiteaWorld, forge: GiteaForge, token_file: Path
) -> None:
    token_file.write_text(world.token_with(*TOKEN_SCOPES, TEAMS_SCOPE))
    person = f"{world.author}-in-wiki"
    team = world.add_team(world.repository, "repo.wiki")
    for each in (person, world.manager):
        world.add_to_team(team, each)

    assert not forge.permission_of(world.repository, person).may_write


def test_what_a_reader_opens_without_a_branch_counts_as_a_forks(
    world: GiteaWorld, forge: GiteaForge, tmp_path: Path
) -> None:
    number = world.open_by_a_reader(tmp_path / "checkout")

    fetched = forge.fetch_pull_request(world.repository, number)

    assert fetched is not None
    assert fetched.from_fork
    assert [each.from_fork for each in forge.list_open_pull_requests(world.repository)] == [True]


def test_a_draft_is_known_by_its_title(world: GiteaWorld, forge: GiteaForge) -> None:
    number = world.open_pull_request(world.repository)

    for title, is_draft in (("WIP: tea", True), ("[WIP] tea", True), ("Tea (no WIP)", False)):
        world.edit(world.repository, number, title=title)
        fetched = forge.fetch_pull_request(world.repository, number)

        assert fetched is not None
        assert (fetched.title, fetched.is_draft) == (title, is_draft)


def test_a_repository_that_was_given_away_is_followed_and_keeps_its_number(
    world: GiteaWorld, forge: GiteaForge
) -> None:
    old = world.repository
    number = world.open_pull_request(old)
    before = forge.fetch_pull_request(old, number)
    comment = forge.ensure_comment(old, number, marker=MARKER, body=MARKER)
    assert before is not None
    assert before.repository_id

    new = world.transfer(old)

    try:
        after = forge.fetch_pull_request(old, number)
        assert after is not None
        assert (after.repository, after.repository_id) == (new, before.repository_id)
        again = forge.ensure_comment(
            old, number, marker=MARKER, body=f"{MARKER}\nmore", known_id=comment
        )
        assert again == comment
        forge.react(old, number, comment, Reaction.DONE)
        (said,) = forge.list_comments(old, number)
        assert (said.id, said.body, said.is_ours) == (comment, f"{MARKER}\nmore", True)
        assert world.reactions(new, comment) == ["+1"]
        # In the developer's own hands no team has a say, and he may do all.
        assert forge.permission_of(old, world.author) is Permission.ADMIN
        assert forge.permission_of(old, "nobody-of-this-name") is Permission.NONE
    finally:
        world.delete_repository(new)


def test_a_comment_of_another_repository_is_never_written_over(
    world: GiteaWorld, forge: GiteaForge
) -> None:
    elsewhere = world.repository
    other = world.open_pull_request(elsewhere)
    theirs = world.comment(elsewhere, other, "Looks good")
    repository = world.add_repository()
    number = world.open_pull_request(repository)

    ours = forge.ensure_comment(repository, number, marker=MARKER, body=MARKER, known_id=theirs)

    assert ours != theirs
    assert [each.body for each in world.comments(elsewhere, other)] == ["Looks good"]
    assert [each.body for each in world.comments(repository, number)] == [MARKER]


def test_a_branch_that_is_gone_hides_its_file_even_behind_a_tag_of_its_name(
    world: GiteaWorld, forge: GiteaForge
) -> None:
    world.write_file(world.repository, ".previews.yaml", "drafts: false\n", branch="release/1.0")
    world.tag(world.repository, "release/1.0")
    held = forge.read_file(world.repository, "release/1.0", ".previews.yaml")
    world.delete_branch(world.repository, "release/1.0")

    assert held == "drafts: false\n"
    with pytest.raises(TransientError):
        forge.read_file(world.repository, "release/1.0", ".previews.yaml")

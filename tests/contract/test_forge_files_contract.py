"""What every forge tells of files: changed ones, those below a folder, and single ones."""

from collections.abc import Mapping

import pytest

from previews.domain.forge_ports import FILE_BYTES_MAX
from previews.domain.preview import HeadSha
from previews.errors import StalledError, TransientError
from tests.contract.forge_places import Place
from tests.fakes.forge_things import blob_id

POLICY = ".previews.yaml"


def changed(place: Place, number: int) -> frozenset[str]:
    found = place.forge.list_changed_paths(place.repository, number)
    assert found.is_whole
    return found.paths


def test_the_changed_paths_are_those_of_the_whole_pull_request(place: Place) -> None:
    for path in ("kept.md", "changed.md", "removed.md"):
        place.world.write_file(place.repository, path, f"{path} as it was")
    number = place.world.open_pull_request(
        place.repository, files={"added/\u00fc b.md": "new", "changed.md": "another"}
    )
    place.world.push(place.repository, number, files={"removed.md": None, "more.md": "more"})

    assert changed(place, number) == {"added/\u00fc b.md", "changed.md", "removed.md", "more.md"}


def test_of_a_renamed_file_the_old_path_is_changed_as_well(place: Place) -> None:
    text = "\n".join(f"line {each}" for each in range(40))
    place.world.write_file(place.repository, "old/name.md", text)

    number = place.world.open_pull_request(
        place.repository, files={"old/name.md": None, "new/name.md": text}
    )

    assert changed(place, number) == {"old/name.md", "new/name.md"}


def test_what_others_change_meanwhile_is_no_change_of_the_pull_request(place: Place) -> None:
    number = place.world.open_pull_request(place.repository, files={"ours.md": ""})

    place.world.write_file(place.repository, "theirs.md", "")

    assert changed(place, number) == {"ours.md"}


def test_more_than_a_page_of_changed_paths_is_whole(place: Place) -> None:
    files: dict[str, str | None] = {
        f"web/{each:03}.ts": f"{each}" for each in range(place.more_than_a_page)
    }
    number = place.world.open_pull_request(place.repository, files=files)

    assert changed(place, number) == set(files)


def test_changed_paths_of_what_the_forge_does_not_show_are_an_error(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)

    with pytest.raises(TransientError):
        place.forge.list_changed_paths(place.repository, 4711)
    place.world.hide(place.repository)
    with pytest.raises(TransientError):
        place.forge.list_changed_paths(place.repository, number)


def test_a_file_is_read_from_the_branch_that_is_asked_for(place: Place) -> None:
    assert place.forge.read_file(place.repository, "main", POLICY) is None

    place.world.write_file(place.repository, POLICY, "drafts: false # \u00fc\n")
    place.world.write_file(place.repository, POLICY, "drafts: true\n", branch="release/1.x")
    place.world.open_pull_request(place.repository, "feature", files={POLICY: "forks: approve"})

    assert place.forge.read_file(place.repository, "main", POLICY) == "drafts: false # \u00fc\n"
    assert place.forge.read_file(place.repository, "release/1.x", POLICY) == "drafts: true\n"

    place.world.write_file(place.repository, POLICY, None)
    place.world.write_file(place.repository, f"docs/{POLICY}", "drafts: true\n")

    assert place.forge.read_file(place.repository, "main", POLICY) is None


def test_a_file_that_cannot_be_one_of_ours_is_refused_and_not_absent(place: Place) -> None:
    bad: list[tuple[str, str | bytes]] = [
        (POLICY, "#" * (FILE_BYTES_MAX + 1)),
        (POLICY, b"\xff\xfe\x00"),
        (f"{POLICY}/inside", "a folder"),
    ]
    for path, content in bad:
        place.world.write_file(place.repository, POLICY, None)
        place.world.write_file(place.repository, path, content)

        with pytest.raises(StalledError) as caught:
            place.forge.read_file(place.repository, "main", POLICY)

        assert caught.value.reason == "RepositoryFileUnreadable"


def test_the_largest_file_is_read_whole(place: Place) -> None:
    place.world.write_file(place.repository, POLICY, "#" * FILE_BYTES_MAX)

    assert place.forge.read_file(place.repository, "main", POLICY) == "#" * FILE_BYTES_MAX


def test_a_file_on_what_the_forge_does_not_show_is_an_error_and_not_absent(place: Place) -> None:
    with pytest.raises(TransientError):
        place.forge.read_file(place.repository, "never", POLICY)
    place.world.hide(place.repository)
    with pytest.raises(TransientError):
        place.forge.read_file(place.repository, "main", POLICY)


def test_the_files_below_a_folder_are_those_of_the_very_commit(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    first = place.world.push(
        place.repository,
        number,
        files={
            "db/migrations/0001.sql": "create table goods ();",
            "db/migrations/old/0000.sql": "",
            "db/migrations.md": "Read me.",
            "db/seed.sql": "insert",
            "other/migrations/0001.sql": "",
        },
    )
    second = place.world.push(
        place.repository,
        number,
        files={
            "db/migrations/0001.sql": "create table goods (id int);",
            "db/migrations/old/0000.sql": None,
            "db/migrations/0002 \u00fc.sql": "create table goods ();",
        },
    )

    def files(head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        return place.forge.list_files(place.repository, head_sha, folder)

    assert files(first, "db/migrations") == {
        "db/migrations/0001.sql": blob_id("create table goods ();"),
        "db/migrations/old/0000.sql": blob_id(""),
    }
    assert files(second, "db/migrations/") == {
        "db/migrations/0001.sql": blob_id("create table goods (id int);"),
        "db/migrations/0002 \u00fc.sql": blob_id("create table goods ();"),
    }
    assert set(files(second, "db")) == {
        "db/migrations/0001.sql",
        "db/migrations/0002 \u00fc.sql",
        "db/migrations.md",
        "db/seed.sql",
    }


def test_a_folder_that_is_not_there_has_no_files(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    head_sha = place.world.push(place.repository, number, files={"db": "a file", "a/b.sql": ""})

    for folder in ("migrations", "db", "db/migrations", "a/b", "a/b.sql", "A", ".."):
        assert place.forge.list_files(place.repository, head_sha, folder) == {}


def test_a_folder_of_more_than_one_page_is_whole(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    files = {f"db/{each:03}.sql": f"select {each};" for each in range(place.more_than_a_page)}
    head_sha = place.world.push(place.repository, number, files=files)

    listed = place.forge.list_files(place.repository, head_sha, "db")

    assert listed == {path: blob_id(text) for path, text in files.items()}


def test_files_of_what_the_forge_does_not_know_are_an_error_and_no_empty_folder(
    place: Place,
) -> None:
    number = place.world.open_pull_request(place.repository)
    head_sha = place.world.push(place.repository, number, files={"db/1.sql": ""})

    with pytest.raises(TransientError):
        place.forge.list_files(place.repository, HeadSha("0123456789" * 4), "db")
    with pytest.raises(TransientError):
        place.forge.list_files(f"{place.repository}-of-nobody", head_sha, "db")
    place.world.hide(place.repository)
    with pytest.raises(TransientError):
        place.forge.list_files(place.repository, head_sha, "db")

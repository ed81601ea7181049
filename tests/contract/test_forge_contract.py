"""What every forge does: the stories of the port, told to the fake, to GitHub's adapter and to Gitea's."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.domain.ports import Forge
from previews.domain.preview import CIRun, HeadSha, parse_head_sha
from previews.domain.record import CommitStatus, StatusState
from previews.errors import PreviewsError, TransientError
from tests.cluster import preflight, running
from tests.e2e.gitea_world import PAGE_LENGTH, GiteaWorld, short_pages
from tests.fakes.forge import FakeForge
from tests.fakes.forge_world import Said, blob_id
from tests.github.standin import StandInGitHub

MARKER = "<!-- previews:acme -->"
BODY = f"{MARKER}\n### Preview\n\n| Project | Status |\n| --- | --- |\n| shop | **Live** ✓ |\n"
PENDING = CommitStatus("preview/shop", StatusState.PENDING, "Deploying", "")
LIVE = CommitStatus(
    "preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example.com/"
)


class World(Protocol):
    """People at a forge."""

    def open_pull_request(
        self, repository: str, branch: str = ..., title: str = ..., *, from_fork: bool = ...
    ) -> int: ...
    def push(
        self, repository: str, number: int, *, files: Mapping[str, str | None] | None = ...
    ) -> HeadSha: ...
    def edit(self, repository: str, number: int, *, title: str) -> None: ...
    def set_labels(self, repository: str, number: int, *labels: str) -> None: ...
    def close(self, repository: str, number: int) -> None: ...
    def reopen(self, repository: str, number: int) -> None: ...
    def delete_fork(self, repository: str, number: int) -> None: ...
    def comment(self, repository: str, number: int, body: str) -> int: ...
    def delete_comment(self, comment_id: int) -> None: ...
    def rename(self, repository: str, name: str) -> None: ...
    def hide(self, repository: str) -> None: ...
    def comments(self, repository: str, number: int) -> list[Said]: ...
    def statuses(self, repository: str, head_sha: str) -> list[CommitStatus]: ...
    def run_ci(self, repository: str, head_sha: str, run: CIRun) -> None: ...


@dataclass(frozen=True)
class Place:
    """A forge, and one repository at it that the manager may see and write to."""

    forge: Forge
    world: World
    repository: str
    author: str
    more_than_a_page: int


@pytest.fixture(scope="module")
def gitea_world() -> Iterator[GiteaWorld]:
    cluster = running()
    if cluster is None:
        pytest.skip(preflight() or "the local cluster does not run: make cluster-up")
    with GiteaWorld(cluster) as world:
        yield world


@pytest.fixture
def fake() -> Place:
    forge = FakeForge()
    forge.add_repository("acme/shop")
    return Place(forge, forge, "acme/shop", "octo-dev", 3)


@pytest.fixture
def github(token_file: Path) -> Iterator[Place]:
    with StandInGitHub() as standin:
        token_file.write_text(f"{standin.token}\n")
        standin.add_repository("acme/shop")
        forge = GitHubForge(api_url=standin.url, token_file=token_file)
        yield Place(forge, standin, "acme/shop", "octo-dev", 101)


@pytest.fixture
def gitea(token_file: Path, gitea_world: GiteaWorld) -> Iterator[Place]:
    token_file.write_text(f"{gitea_world.token}\n")
    with (
        short_pages(gitea_world.url) as url,
        closing(GiteaForge(api_url=url, token_file=token_file)) as forge,
    ):
        repository = gitea_world.add_repository()
        yield Place(forge, gitea_world, repository, gitea_world.author, PAGE_LENGTH + 1)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture(params=["fake", "github", pytest.param("gitea", marks=pytest.mark.e2e)])
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.getfixturevalue(request.param)
    return chosen


def test_an_opened_pull_request_is_listed_and_fetched_alike(place: Place) -> None:
    title = "A change: 'quoted' \"twice\" {{.x}} $(id) \u202e \U0001f600"
    number = place.world.open_pull_request(place.repository, "feature/a", title)

    fetched = place.forge.fetch_pull_request(place.repository, number)
    listed = place.forge.list_open_pull_requests(place.repository)

    assert fetched is not None
    assert listed == [fetched]
    assert fetched.repository == place.repository
    assert fetched.number == number
    assert fetched.is_open
    assert not fetched.from_fork
    assert fetched.head_branch == "feature/a"
    assert fetched.base_branch == "main"
    assert fetched.title == title
    assert fetched.author == place.author
    assert fetched.head_sha == parse_head_sha(fetched.head_sha)
    assert fetched.url.startswith(("http://", "https://"))


def test_a_repository_without_open_pull_requests_lists_none(place: Place) -> None:
    assert place.forge.list_open_pull_requests(place.repository) == []


def test_a_push_changes_the_head_sha_and_nothing_else(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None

    pushed = place.world.push(place.repository, number)

    after = place.forge.fetch_pull_request(place.repository, number)
    assert after == replace(before, head_sha=pushed)
    assert after != before


def test_a_closed_pull_request_is_fetched_as_closed_and_no_longer_listed(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    other = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None

    place.world.close(place.repository, number)

    assert place.forge.fetch_pull_request(place.repository, number) == replace(
        before, is_open=False
    )
    assert numbers(place) == [other]


def test_a_reopened_pull_request_is_as_it_was_before(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    place.world.close(place.repository, number)

    place.world.reopen(place.repository, number)

    assert place.forge.fetch_pull_request(place.repository, number) == before
    assert numbers(place) == [number]


def test_a_new_title_is_seen(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)

    place.world.edit(place.repository, number, title="Another title")

    fetched = place.forge.fetch_pull_request(place.repository, number)
    assert fetched is not None
    assert fetched.title == "Another title"


def test_labels_are_seen_sorted_whatever_their_order(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None
    assert before.labels == ()

    place.world.set_labels(place.repository, number, "preview-ttl: 24h", "Bug \u202e", "a,b")
    labelled = place.forge.fetch_pull_request(place.repository, number)
    listed = place.forge.list_open_pull_requests(place.repository)
    place.world.set_labels(place.repository, number, "a,b")
    fewer = place.forge.fetch_pull_request(place.repository, number)
    place.world.set_labels(place.repository, number)

    assert labelled == replace(before, labels=("Bug \u202e", "a,b", "preview-ttl: 24h"))
    assert listed == [labelled]
    assert fewer == replace(before, labels=("a,b",))
    assert place.forge.fetch_pull_request(place.repository, number) == before


def test_a_pull_request_of_a_fork_is_known_as_one(place: Place) -> None:
    number = place.world.open_pull_request(place.repository, from_fork=True)

    fetched = place.forge.fetch_pull_request(place.repository, number)

    assert fetched is not None
    assert fetched.from_fork
    assert fetched.repository == place.repository
    assert place.forge.list_open_pull_requests(place.repository) == [fetched]


def test_a_pull_request_stays_one_of_a_fork_when_the_fork_is_gone(place: Place) -> None:
    number = place.world.open_pull_request(place.repository, from_fork=True)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None

    place.world.delete_fork(place.repository, number)

    after = place.forge.fetch_pull_request(place.repository, number)
    assert after is not None
    assert after.from_fork
    assert after.head_sha == before.head_sha


def test_a_pull_request_that_there_never_was_is_absent(place: Place) -> None:
    assert place.forge.fetch_pull_request(place.repository, 4711) is None


def test_what_the_token_may_not_see_is_an_error_and_never_absent_or_empty(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)

    place.world.hide(place.repository)

    with pytest.raises(TransientError):
        place.forge.fetch_pull_request(place.repository, number)
    with pytest.raises(TransientError):
        place.forge.list_open_pull_requests(place.repository)


def test_a_repository_that_does_not_exist_is_an_error(place: Place) -> None:
    elsewhere = f"{place.repository}-of-nobody"

    with pytest.raises(TransientError):
        place.forge.fetch_pull_request(elsewhere, 1)
    with pytest.raises(TransientError):
        place.forge.list_open_pull_requests(elsewhere)


def test_the_case_of_a_repository_name_does_not_matter(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)

    fetched = place.forge.fetch_pull_request(place.repository.upper(), number)

    assert fetched is not None
    assert fetched.repository == place.repository
    assert not fetched.from_fork


def test_a_renamed_repository_is_still_read_and_written_by_its_old_name(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    renamed = place.repository.replace("shop", "store")
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    place.world.rename(place.repository, renamed)

    fetched = place.forge.fetch_pull_request(place.repository, number)
    assert fetched is not None
    assert fetched.repository == renamed
    assert numbers(place) == [number]
    place.forge.set_commit_status(place.repository, fetched.head_sha, LIVE)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nagain")
    assert place.world.statuses(renamed, fetched.head_sha) == [LIVE]
    assert bodies(place, number, repository=renamed) == [f"{BODY}\nagain"]


def test_a_list_of_more_than_one_page_is_whole(place: Place) -> None:
    opened = [
        place.world.open_pull_request(place.repository) for _ in range(place.more_than_a_page)
    ]

    assert sorted(numbers(place)) == sorted(opened)


def test_statuses_are_added_to_the_commit_and_the_last_one_is_the_newest(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    fetched = place.forge.fetch_pull_request(place.repository, number)
    assert fetched is not None
    other = replace(PENDING, context="preview/admin")

    for status in (PENDING, other, LIVE):
        place.forge.set_commit_status(place.repository, fetched.head_sha, status)

    assert place.world.statuses(place.repository, fetched.head_sha) == [PENDING, other, LIVE]


def test_a_status_of_a_commit_that_is_not_there_is_refused(place: Place) -> None:
    with pytest.raises(PreviewsError):
        place.forge.set_commit_status(place.repository, HeadSha("0123456789" * 4), PENDING)


def test_the_comment_is_created_once_then_updated_in_place_then_left_alone(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    place.world.comment(place.repository, number, "Looks good")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    (_, created) = place.world.comments(place.repository, number)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")
    (_, updated) = place.world.comments(place.repository, number)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")
    (_, unchanged) = place.world.comments(place.repository, number)

    assert created.body == BODY
    assert updated == replace(created, body=f"{BODY}\nmore")
    assert unchanged == updated


def test_a_comment_that_somebody_deleted_is_created_again(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    (ours,) = place.world.comments(place.repository, number)

    place.world.delete_comment(ours.id)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    (again,) = place.world.comments(place.repository, number)
    assert again.body == BODY
    assert again.id != ours.id


def test_somebody_elses_comment_with_our_marker_is_not_touched(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    forged = f"{MARKER}\nfree money: https://example.com"
    place.world.comment(place.repository, number, forged)

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    assert bodies(place, number) == [forged, BODY]


def test_another_managers_comment_is_not_touched(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    other = "<!-- previews:other -->"
    place.forge.ensure_comment(place.repository, number, marker=other, body=f"{other}\nother")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")

    assert bodies(place, number) == [f"{other}\nother", f"{BODY}\nmore"]


def test_our_comment_is_found_behind_more_than_a_page_of_others(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    for each in range(place.more_than_a_page):
        place.world.comment(place.repository, number, f"comment {each}")

    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=f"{BODY}\nmore")

    assert len(bodies(place, number)) == place.more_than_a_page + 1
    assert bodies(place, number)[-1] == f"{BODY}\nmore"


def test_a_comment_on_a_pull_request_that_is_not_there_is_an_error(place: Place) -> None:
    with pytest.raises(PreviewsError):
        place.forge.ensure_comment(place.repository, 4711, marker=MARKER, body=BODY)


def test_several_threads_may_ask_at_once(place: Place) -> None:
    opened = [place.world.open_pull_request(place.repository) for _ in range(3)]

    def fetch(number: int) -> int:
        fetched = place.forge.fetch_pull_request(place.repository, number)
        assert fetched is not None
        place.forge.set_commit_status(place.repository, fetched.head_sha, PENDING)
        return fetched.number

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert list(threads.map(fetch, opened * 8)) == opened * 8


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


def test_check_passes_while_the_forge_can_be_used(place: Place) -> None:
    place.forge.check()


def numbers(place: Place) -> list[int]:
    return [each.number for each in place.forge.list_open_pull_requests(place.repository)]


def bodies(place: Place, number: int, *, repository: str = "") -> list[str]:
    return [each.body for each in place.world.comments(repository or place.repository, number)]


BUILD = CIRun("build", "running", "https://ci.example/runs/1")
LINT = CIRun("lint", "succeeded", "https://ci.example/runs/2")


def opened_head(place: Place) -> HeadSha:
    number = place.world.open_pull_request(place.repository)
    pull_request = place.forge.fetch_pull_request(place.repository, number)
    assert pull_request is not None
    return pull_request.head_sha


def test_what_builds_a_commit_is_the_run_that_failed_or_else_one_at_work(place: Place) -> None:
    head_sha, failed = opened_head(place), replace(BUILD, state="failed")

    def told(run: CIRun) -> CIRun | None:
        place.world.run_ci(place.repository, head_sha, run)
        return place.forge.find_run(place.repository, head_sha)

    assert place.forge.find_run(place.repository, head_sha) is None
    assert told(LINT) == LINT
    assert told(BUILD) == BUILD
    assert told(failed) == failed
    # It is built once more.
    assert told(BUILD) == BUILD
    assert told(replace(LINT, state="failed")) == replace(LINT, state="failed")


def test_our_own_status_builds_nothing(place: Place) -> None:
    head_sha = opened_head(place)
    place.forge.set_commit_status(place.repository, head_sha, PENDING)
    assert place.forge.find_run(place.repository, head_sha) is None


def test_what_builds_another_commit_does_not_count(place: Place) -> None:
    number = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None
    place.world.run_ci(place.repository, before.head_sha, BUILD)
    pushed = place.world.push(place.repository, number)
    assert place.forge.find_run(place.repository, pushed) is None

"""What every forge does: the stories of the port, told to the fake, to GitHub's adapter and to Gitea's."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from previews.domain.preview import CIRun, HeadSha, PullRequest, parse_head_sha
from previews.domain.record import CommitStatus, StatusState
from previews.errors import PreviewsError, TransientError
from tests.contract.forge_places import BODY, MARKER, Place

PENDING = CommitStatus("preview/shop", StatusState.PENDING, "Deploying", "")
LIVE = CommitStatus(
    "preview/shop", StatusState.SUCCESS, "Live", "https://pr-1.preview.example.com/"
)


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
    assert not fetched.is_draft
    assert fetched.repository_id > 0
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


def test_a_draft_is_known_as_one_until_it_is_ready(place: Place) -> None:
    number = place.world.open_pull_request(place.repository, is_draft=True)

    def fetched() -> PullRequest:
        found = place.forge.fetch_pull_request(place.repository, number)
        assert found is not None
        assert place.forge.list_open_pull_requests(place.repository) == [found]
        return found

    draft = fetched()
    place.world.set_draft(place.repository, number, is_draft=False)
    ready = fetched()
    place.world.set_draft(place.repository, number, is_draft=True)

    assert draft.is_draft
    assert not draft.author_is_bot
    assert not ready.is_draft
    assert fetched() == draft


def test_another_branch_to_go_into_is_seen(place: Place) -> None:
    place.world.write_file(place.repository, "README.md", "two", branch="release/1.x")
    number = place.world.open_pull_request(place.repository)

    place.world.retarget(place.repository, number, "release/1.x")

    fetched = place.forge.fetch_pull_request(place.repository, number)
    assert fetched is not None
    assert fetched.base_branch == "release/1.x"


def test_a_pull_request_is_newer_after_somebody_said_something_and_the_same_all_the_same(
    place: Place,
) -> None:
    number = place.world.open_pull_request(place.repository)
    before = place.forge.fetch_pull_request(place.repository, number)
    assert before is not None
    assert before.updated_at is not None

    said = place.world.comment(place.repository, number, "/preview")

    after = place.forge.fetch_pull_request(place.repository, number)
    (comment,) = place.forge.list_comments(place.repository, number)
    assert after == before
    assert after.updated_at is not None
    assert comment.id == said
    assert before.updated_at <= comment.updated_at <= after.updated_at


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
    before = place.forge.fetch_pull_request(place.repository, number)
    place.forge.ensure_comment(place.repository, number, marker=MARKER, body=BODY)

    place.world.rename(place.repository, renamed)

    fetched = place.forge.fetch_pull_request(place.repository, number)
    assert fetched is not None
    assert fetched.repository == renamed
    assert before is not None
    assert fetched.repository_id == before.repository_id
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


def test_several_threads_may_ask_at_once(place: Place) -> None:
    opened = [place.world.open_pull_request(place.repository) for _ in range(3)]

    def fetch(number: int) -> int:
        fetched = place.forge.fetch_pull_request(place.repository, number)
        assert fetched is not None
        place.forge.set_commit_status(place.repository, fetched.head_sha, PENDING)
        return fetched.number

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert list(threads.map(fetch, opened * 8)) == opened * 8


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

"""What every GitOps repository does: run on the fake and on git itself."""

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from previews.adapters.gitops import FILE_BYTES_MAX, GitRepository
from previews.domain.ports import GitOpsRepository, PushRejectedError, Tree
from previews.errors import StalledError, TransientError
from tests.fakes.gitops import FakeGitOpsRepository
from tests.git_remote import GitRemote

FOLDER = "previews"
HOSTILE = (
    "a: 'b' \"c\" \\ `d` $(id) ${IFS} {{.x}} %s\r\n\ttab\n\nD previews\nM 100644 inline x\ndone\n"
    "--- \u202e \u2028 \x00 \x1b[31m \U0001f600 no line end"
)


class World(Protocol):
    """A repository, and what others do to its server. Paths are below our folder."""

    @property
    def repository(self) -> GitOpsRepository: ...
    def another_reader(self) -> GitOpsRepository:
        """One that knows only what the server has."""
        ...

    def commit(self, changes: Mapping[str, str | None]) -> str: ...
    def text_of(self, path: str) -> str | None: ...
    def messages(self) -> list[str]: ...
    def set_back_to(self, commit: str) -> None: ...
    def delete_branch(self) -> None: ...
    def refuse_pushes(self, words: str) -> None: ...
    def cut_off(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.repository = FakeGitOpsRepository()

    def another_reader(self) -> FakeGitOpsRepository:
        return self.repository

    def commit(self, changes: Mapping[str, str | None]) -> str:
        return self.repository.commit_as_another(changes)

    def text_of(self, path: str) -> str | None:
        return self.repository.files.get(path)

    def messages(self) -> list[str]:
        return [commit.message for commit in self.repository.history]

    def set_back_to(self, commit: str) -> None:
        self.repository.set_back_to(commit)

    def delete_branch(self) -> None:
        self.repository.delete_branch()

    def refuse_pushes(self, words: str) -> None:
        self.repository.refuses_with = words

    def cut_off(self) -> None:
        self.repository.is_unreachable = True


class GitWorld:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._remote = GitRemote(directory / "server")
        self._remote.commit({"README": "not ours"}, "first commit")
        self.repository = self._open("ours", self._remote.url)

    def another_reader(self) -> GitRepository:
        return self._open("reader", self._remote.url)

    def _open(self, name: str, url: str) -> GitRepository:
        return GitRepository(
            self._directory / name,
            url=url,
            branch="main",
            path=FOLDER,
            credentials=None,
            author_name="previews",
            author_email="previews@example.org",
            timeout_seconds=30,
        )

    def commit(self, changes: Mapping[str, str | None]) -> str:
        return self._remote.commit({f"{FOLDER}/{path}": text for path, text in changes.items()})

    def text_of(self, path: str) -> str | None:
        return self._remote.text_of(f"{FOLDER}/{path}")

    def messages(self) -> list[str]:
        return self._remote.messages()

    def set_back_to(self, commit: str) -> None:
        self._remote.set_back_to(commit)

    def delete_branch(self) -> None:
        self._remote.delete_branch()

    def refuse_pushes(self, words: str) -> None:
        self._remote.refuse_pushes(words)

    def cut_off(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        self.repository = self._open("ours", f"http://127.0.0.1:{port}/gitops.git")


@pytest.fixture(params=["fake", "git"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return FakeWorld() if request.param == "fake" else GitWorld(tmp_path)


def test_a_branch_without_our_folder_is_an_empty_tree(world: World) -> None:
    assert world.repository.fetch().blobs == {}


def test_a_fetched_tree_names_each_file_by_what_it_says(world: World) -> None:
    world.commit({"shop/2/pr-42/application.yaml": "a\n", "roots/shop-2.yaml": "ü\n"})
    repository = world.repository
    assert repository.fetch().blobs == {
        "shop/2/pr-42/application.yaml": repository.blob_id("a\n"),
        "roots/shop-2.yaml": repository.blob_id("ü\n"),
    }


def test_a_fetch_of_an_unchanged_branch_finds_the_same_tree(world: World) -> None:
    assert world.repository.fetch() == world.repository.fetch()


def test_a_push_is_one_commit_that_writes_replaces_and_removes(world: World) -> None:
    world.commit({"shop/0/pr-1/a.yaml": "1", "shop/0/pr-2/a.yaml": "2", "shop/0/keep.yaml": "k"})
    before = len(world.messages())
    base = world.repository.fetch()
    changes = {"shop/0/pr-1/a.yaml": "new", "shop/0/pr-2/a.yaml": None, "shop/1/pr-20/b.yaml": "b"}
    pushed = world.repository.push(base, changes, "shop#1 and two more")
    assert pushed == world.repository.fetch() == world.another_reader().fetch()
    assert sorted(pushed.blobs) == ["shop/0/keep.yaml", "shop/0/pr-1/a.yaml", "shop/1/pr-20/b.yaml"]
    assert world.text_of("shop/0/pr-1/a.yaml") == "new"
    assert world.text_of("shop/0/pr-2/a.yaml") is None
    assert world.text_of("shop/0/keep.yaml") == "k"
    assert world.messages()[before:] == ["shop#1 and two more"]


def test_pushes_follow_each_other_without_a_fetch(world: World) -> None:
    tree = world.repository.fetch()
    for number in range(5):
        tree = world.repository.push(tree, {f"shop/0/pr-{number}/a.yaml": "a"}, f"#{number}")
    assert world.another_reader().fetch() == tree
    assert len(tree.blobs) == 5


def test_a_file_makes_room_for_a_folder_of_its_name(world: World) -> None:
    world.commit({"shop": "a file"})
    base = world.repository.fetch()
    world.repository.push(base, {"shop/0/keep.yaml": "k", "shop": None}, "make room")
    assert list(world.another_reader().fetch().blobs) == ["shop/0/keep.yaml"]


def test_a_push_on_top_of_an_old_tip_is_rejected_and_changes_nothing(world: World) -> None:
    base = world.repository.fetch()
    theirs = world.commit({"shop/0/pr-1/a.yaml": "theirs"})
    with pytest.raises(PushRejectedError):
        world.repository.push(base, {"shop/0/pr-1/a.yaml": "ours"}, "too late")
    assert world.text_of("shop/0/pr-1/a.yaml") == "theirs"
    assert world.repository.fetch().commit == theirs


def test_a_rejected_push_succeeds_on_the_new_tip_and_keeps_what_others_wrote(world: World) -> None:
    base = world.repository.fetch()
    world.commit({"shop/0/pr-1/a.yaml": "theirs"})
    with pytest.raises(PushRejectedError):
        world.repository.push(base, {"shop/0/pr-2/a.yaml": "ours"}, "too late")
    world.repository.push(world.repository.fetch(), {"shop/0/pr-2/a.yaml": "ours"}, "again")
    assert world.text_of("shop/0/pr-1/a.yaml") == "theirs"
    assert world.text_of("shop/0/pr-2/a.yaml") == "ours"


def test_commits_that_somebody_dropped_are_not_brought_back(world: World) -> None:
    first = world.repository.push(world.repository.fetch(), {"shop/a.yaml": "kept"}, "kept")
    dropped = world.repository.push(first, {"shop/a.yaml": "dropped"}, "dropped")
    world.set_back_to(first.commit)
    with pytest.raises(PushRejectedError):
        world.repository.push(dropped, {"shop/b.yaml": "ours"}, "on what was dropped")
    tree = world.repository.fetch()
    assert tree == first
    world.repository.push(tree, {"shop/b.yaml": "ours"}, "on what is there")
    assert world.text_of("shop/a.yaml") == "kept"


def test_the_files_of_an_earlier_commit_can_still_be_named(world: World) -> None:
    world.commit({"shop/0/pr-1/application.yaml": "a", "shop/0/pr-1/namespace.yaml": "n"})
    base = world.repository.fetch()
    tree = world.repository.push(base, {"shop/0/pr-1/application.yaml": None}, "end the workload")
    files_at = world.repository.files_at
    assert files_at(base.commit, "shop/0/pr-1") == {"application.yaml", "namespace.yaml"}
    assert files_at(tree.commit, "shop/0/pr-1") == {"namespace.yaml"}
    assert files_at(tree.commit, "shop/0/pr-2") == frozenset()
    assert files_at(tree.commit, "shop/0") == frozenset()


@pytest.mark.parametrize("commit", ["f" * 40, "main", "", "HEAD", "--help"])
def test_a_commit_that_nobody_knows_is_not_an_empty_folder(world: World, commit: str) -> None:
    world.repository.fetch()
    with pytest.raises(TransientError):
        world.repository.files_at(commit, "shop/0/pr-1")


def test_a_file_is_read_as_it_was_at_a_commit(world: World) -> None:
    first = world.commit({"shop/0/pr-1/namespace.yaml": HOSTILE, "shop/0/keep.yaml": ""})
    second = world.commit({"shop/0/pr-1/namespace.yaml": "later", "shop/0/keep.yaml": None})
    read_file = world.another_reader().read_file

    assert read_file(first, "shop/0/pr-1/namespace.yaml") == HOSTILE
    assert read_file(first, "shop/0/keep.yaml") == ""
    assert read_file(second, "shop/0/pr-1/namespace.yaml") == "later"
    assert read_file(second, "shop/0/keep.yaml") is None


def test_what_is_no_file_of_a_commit_reads_as_nothing(world: World) -> None:
    commit = world.commit({"shop/0/pr-1/namespace.yaml": "n"})

    for path in ("shop/0/pr-1", "shop/0/pr-1/application.yaml", "shop/0/pr-*", "sho", "shop/0/pr"):
        assert world.repository.read_file(commit, path) is None


@pytest.mark.parametrize("commit", ["f" * 40, "main", "", "HEAD", "--help"])
def test_a_commit_that_nobody_knows_is_not_one_without_the_file(world: World, commit: str) -> None:
    world.repository.fetch()
    with pytest.raises(TransientError) as raised:
        world.repository.read_file(commit, "shop/0/pr-1/namespace.yaml")
    assert raised.value.reason == "GitCommitUnknown"


def test_a_file_of_any_length_is_not_read(world: World) -> None:
    fits, too_long = "ü" * (FILE_BYTES_MAX // 2), "ü" * (FILE_BYTES_MAX // 2) + "!"
    commit = world.commit({"shop/fits.yaml": fits, "shop/too-long.yaml": too_long})

    assert world.repository.read_file(commit, "shop/fits.yaml") == fits
    with pytest.raises(StalledError) as raised:
        world.repository.read_file(commit, "shop/too-long.yaml")
    assert raised.value.reason == "GitOpsFileUnreadable"


@pytest.mark.parametrize("path", ["../README", "/etc/passwd", "", "a//b", ".git/config", "a\nb"])
def test_nothing_outside_our_folder_is_read(world: World, path: str) -> None:
    commit = world.repository.fetch().commit
    with pytest.raises(ValueError, match="our folder"):
        world.repository.read_file(commit, path)


def test_files_can_be_named_and_read_by_many_threads_while_one_pushes(world: World) -> None:
    first = world.repository.fetch()
    tree = world.repository.push(first, {"shop/0/pr-1/a.yaml": "a"}, "one")
    named = partial(world.repository.files_at, tree.commit, "shop/0/pr-1")
    read = partial(world.repository.read_file, tree.commit, "shop/0/pr-1/a.yaml")
    with ThreadPoolExecutor(4) as threads:
        answers = [(threads.submit(named), threads.submit(read)) for _ in range(20)]
        last: Tree = tree
        for number in range(5):
            last = world.repository.push(last, {f"shop/0/pr-1/{number}.yaml": "x"}, "more")
    assert {(names.result(), text.result()) for names, text in answers} == {
        (frozenset({"a.yaml"}), "a")
    }
    assert len(world.another_reader().fetch().blobs) == 6


def test_text_reaches_the_branch_byte_for_byte(world: World) -> None:
    tree = world.repository.push(world.repository.fetch(), {"shop/x.yaml": HOSTILE}, "hostile")
    assert world.text_of("shop/x.yaml") == HOSTILE
    assert world.another_reader().fetch().blobs == tree.blobs


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "",
        "a//b",
        ".",
        "a/",
        ".git/config",
        "a/.GIT/x",
        "a\nb",
        "\0",
    ],
)
def test_a_path_outside_our_folder_is_refused_before_anything_happens(
    world: World, path: str
) -> None:
    base = world.repository.fetch()
    with pytest.raises(ValueError, match="our folder"):
        world.repository.push(base, {path: "text", "fine.yaml": "text"}, "outside")
    assert world.repository.fetch() == base


def test_only_a_file_of_ours_can_be_removed(world: World) -> None:
    world.commit({"shop/0/pr-1/a.yaml": "a"})
    base = world.repository.fetch()
    for path in ("shop/0/pr-1", "shop/0/pr-1/", "nothing", ""):
        with pytest.raises(ValueError, match="cannot be removed"):
            world.repository.push(base, {path: None}, "removes too much")


def test_a_commit_without_changes_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="needs changes"):
        world.repository.push(world.repository.fetch(), {}, "nothing")


def test_a_missing_branch_stalls_and_says_what_to_create(world: World) -> None:
    world.delete_branch()
    with pytest.raises(StalledError, match="create that branch") as refused:
        world.repository.fetch()
    assert refused.value.reason == "GitOpsBranchMissing"
    world.commit({"shop/x.yaml": "x"})
    assert list(world.repository.fetch().blobs) == ["shop/x.yaml"]


def test_a_refused_push_stalls_in_the_words_of_the_server(world: World) -> None:
    base = world.repository.fetch()
    world.refuse_pushes("main belongs to Alice")
    with pytest.raises(StalledError, match="main belongs to Alice") as refused:
        world.repository.push(base, {"shop/x.yaml": "x"}, "refused")
    assert refused.value.reason == "GitOpsWriteRefused"
    assert world.repository.fetch() == base


def test_a_server_that_does_not_answer_is_worth_another_try(world: World) -> None:
    base = world.repository.fetch()
    world.cut_off()
    with pytest.raises(TransientError) as fetched:
        world.repository.fetch()
    with pytest.raises(TransientError) as pushed:
        world.repository.push(base, {"shop/x.yaml": "x"}, "unheard")
    with pytest.raises(TransientError) as read:
        world.repository.read_file("f" * 40, "shop/x.yaml")
    assert read.value.reason == "GitUnreachable"
    assert {fetched.value.reason, pushed.value.reason} == {"GitUnreachable"}
    assert not isinstance(pushed.value, PushRejectedError)

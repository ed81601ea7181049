"""Changed paths and files by a Gitea that says false things: no path is missing and no file is absent without proof."""

import base64
from pathlib import Path

import pytest

from previews.adapters.forges.gitea_contents import CHANGED_FILES_MAX
from previews.domain.forge_ports import FILE_BYTES_MAX, ChangedPaths
from previews.errors import StalledError, TransientError
from tests.integration.gitea_server import (
    API,
    FALSE_TOTALS,
    NO_ANSWERS,
    PULLS,
    SHOP,
    Object,
    Serve,
    gitea_with_token_in,
    lists,
)
from tests.integration.scripted_http import Asked, Reply, Script

HEAD = "a" * 40
LATER = "b" * 40
TIP = "c" * 40
BLOB = "d" * 40
POLICY = ".previews.yaml"


@pytest.fixture
def at(tmp_path: Path) -> Serve:
    return gitea_with_token_in(tmp_path)


def changed(name: str, *, head_sha: str = HEAD, **more: object) -> Object:
    """One changed file, as Gitea lists it."""
    url = f"https://gitea.example/api/v1/repos/{SHOP}/contents/{name}?ref={head_sha}"
    return {"filename": name, "status": "changed", "contents_url": url, **more}


FALSE_FILES: dict[str, Script] = {
    **NO_ANSWERS,
    **FALSE_TOTALS,
    "fewer than the total": lists(([changed("a")], "2"), ([], "2")),
    "more than the total": lists(([changed("a"), changed("b")], "1")),
    "a push between two pages": lists(([changed("a")], "2"), ([changed("b", head_sha=LATER)], "2")),
    "no name": lists(([changed("a", filename=None)], "1")),
    "an old name that is none": lists(([changed("a", previous_filename=7)], "1")),
    "no commit": lists(([changed("a", contents_url="https://gitea.example/")], "1")),
    "no address": lists(([changed("a", contents_url=None)], "1")),
    "a file that is none": lists((["a"], "1")),  # type: ignore[list-item] # What is false about it.
}


@pytest.mark.parametrize("script", FALSE_FILES.values(), ids=FALSE_FILES.keys())
def test_false_changed_paths_are_an_error(at: Serve, script: Script) -> None:
    with at(script) as (forge, _), pytest.raises(TransientError):
        forge.list_changed_paths(SHOP, 1)


def test_changed_paths_of_several_pages_are_whole_with_old_names(at: Serve) -> None:
    moved = changed("new/b c.txt", status="renamed", previous_filename="old/b.txt")

    with at(lists(([changed("a&b=ü.txt")], "2"), ([moved], "2"))) as (forge, server):
        found = forge.list_changed_paths(SHOP, 1)

    assert found == ChangedPaths(
        frozenset({"a&b=ü.txt", "new/b c.txt", "old/b.txt"}), is_whole=True
    )
    assert {each.path for each in server.asked} == {f"{PULLS}/1/files"}


def test_a_pull_request_that_changes_nothing_has_no_changed_paths(at: Serve) -> None:
    with at(lists(([], "0"))) as (forge, _):
        assert forge.list_changed_paths(SHOP, 1) == ChangedPaths(frozenset(), is_whole=True)


def test_more_changed_files_than_anybody_reads_are_not_read(at: Serve) -> None:
    with at(lists(([changed("a")], str(CHANGED_FILES_MAX + 1)))) as (forge, server):
        assert not forge.list_changed_paths(SHOP, 1).is_whole
        assert len(server.asked) == 1


class Shop:
    """A branch whose root has one file; a test changes what is said of it."""

    def __init__(self, content: bytes = b"drafts: false\n") -> None:
        self.entry: Object = {
            "path": POLICY,
            "type": "blob",
            "sha": BLOB,
            "size": len(content),
        }
        self.branch: Object = {"name": "main", "commit": {"id": TIP}}
        self.tree: Object = {"tree": [self.entry], "truncated": False, "total_count": 1}
        self.blob: Object = {
            "encoding": "base64",
            "content": base64.b64encode(content).decode(),
            "size": len(content),
        }
        self.says: dict[str, Script] = {}

    def answer(self, asked: Asked, reply: Reply) -> None:
        held = {"branches": self.branch, "trees": self.tree, "blobs": self.blob}
        kind = next(each for each in held if f"/{each}/" in asked.path)
        if kind in self.says:
            self.says[kind](asked, reply)
        else:
            reply.json(200, held[kind])


def test_a_file_is_read_from_where_the_branch_stands(at: Serve) -> None:
    with at(Shop("drafts: ü\n".encode()).answer) as (forge, server):
        assert forge.read_file(SHOP, "release/1.0", POLICY) == "drafts: ü\n"

    shop = f"{API}/repos/{SHOP}"
    assert [each.path for each in server.asked] == [
        f"{shop}/branches/release%2F1.0",
        f"{shop}/git/trees/{TIP}",
        f"{shop}/git/blobs/{BLOB}",
    ]


def test_a_file_is_absent_when_the_whole_tree_is_there_without_it(at: Serve) -> None:
    shop = Shop()
    shop.entry["path"] = "README.md"

    with at(shop.answer) as (forge, _):
        assert forge.read_file(SHOP, "main", POLICY) is None


@pytest.mark.parametrize("kind", ["branches", "trees", "blobs"])
@pytest.mark.parametrize("script", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_a_false_answer_on_the_way_to_a_file_is_never_its_absence(
    at: Serve, kind: str, script: Script
) -> None:
    shop = Shop()
    shop.says[kind] = script

    with at(shop.answer) as (forge, _), pytest.raises(TransientError):
        forge.read_file(SHOP, "main", POLICY)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("branch", {"commit": None}),
        ("branch", {"commit": {"id": "main"}}),
        ("tree", {"tree": [], "total_count": 1}),
        ("tree", {"truncated": True, "tree": []}),
        ("tree", {"total_count": None}),
        ("blob", {"size": 1}),
        ("blob", {"encoding": None, "content": None}),
        ("blob", {"content": "n%t base64"}),
    ],
)
def test_a_half_answer_on_the_way_to_a_file_is_an_error(
    at: Serve, part: str, change: Object
) -> None:
    shop = Shop()
    getattr(shop, part).update(change)

    with at(shop.answer) as (forge, _), pytest.raises(TransientError):
        forge.read_file(SHOP, "main", POLICY)


@pytest.mark.parametrize(
    "content", [b"x" * (FILE_BYTES_MAX + 1), b"\xff\xfe\x00"], ids=["too large", "no text"]
)
def test_what_nobody_can_read_is_for_somebody_to_change(at: Serve, content: bytes) -> None:
    with at(Shop(content).answer) as (forge, _), pytest.raises(StalledError) as caught:
        forge.read_file(SHOP, "main", POLICY)

    assert caught.value.reason == "RepositoryFileUnreadable"


def test_a_folder_of_that_name_is_no_file(at: Serve) -> None:
    shop = Shop()
    shop.entry["type"] = "tree"

    with at(shop.answer) as (forge, _), pytest.raises(StalledError, match="no file"):
        forge.read_file(SHOP, "main", POLICY)

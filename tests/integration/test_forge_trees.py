"""Trees that a forge gives only in part, or not as trees: no file is ever missing without an error."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.domain.forge_ports import Forge
from previews.domain.preview import HeadSha
from previews.errors import TransientError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer

HEAD = HeadSha("a" * 40)
FOLDER = "b" * 40
FILE = "c" * 40

Object = dict[str, Any]
Change = Callable[[Object], None]


def entry(path: str, kind: str, object_id: str) -> Object:
    mode = "040000" if kind == "tree" else "100644"
    return {"path": path, "mode": mode, "type": kind, "sha": object_id, "url": ""}


class Repository:
    """A folder `db` with a file, beside which there is another; a test changes what is said of it."""

    def __init__(self) -> None:
        self.trees = {
            HEAD: self._tree(HEAD, entry("db", "tree", FOLDER), entry("README.md", "blob", FILE)),
            FOLDER: self._tree(FOLDER, entry("1.sql", "blob", FILE)),
        }

    def answer(self, asked: Asked, reply: Reply) -> None:
        found = self.trees.get(asked.path.rpartition("/")[2])
        reply.json(200 if found else 404, found or {"message": "no such tree"})

    def _tree(self, tree: str, *entries: Object) -> Object:
        return {
            "sha": tree,
            "url": "",
            "tree": list(entries),
            "truncated": False,
            "page": 1,
            "total_count": len(entries),
        }


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def server(repository: Repository) -> Iterator[ScriptedServer]:
    with ScriptedServer(repository.answer) as server:
        yield server


@pytest.fixture(params=["github", "gitea"])
def forge(
    request: pytest.FixtureRequest, server: ScriptedServer, tmp_path: Path
) -> Iterator[Forge]:
    token = tmp_path / "token"
    token.write_text("t")
    if request.param == "github":
        yield GitHubForge(api_url=server.url, credentials=TokenFile(token))
        return
    with closing(GiteaForge(api_url=server.url, token_file=token)) as forge:
        yield forge


def test_only_the_folders_on_the_way_are_asked_for(forge: Forge, server: ScriptedServer) -> None:
    assert forge.list_files("acme/shop", HEAD, "db") == {"db/1.sql": FILE}
    assert [each.path.rpartition("/")[2] for each in server.asked] == [HEAD, FOLDER]
    assert ["recursive" in each.query for each in server.asked] == [False, True]


@pytest.mark.parametrize("tree", [HEAD, FOLDER])
@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.update(truncated=True),
        lambda tree: tree.pop("truncated"),
        lambda tree: tree.update(truncated="false"),
        lambda tree: tree.pop("tree"),
        lambda tree: tree.update(tree=[{"path": "1.sql", "type": "blob"}]),
        lambda tree: tree.update(tree=[entry("1.sql", "blob", "not an id")]),
        lambda tree: tree.update(tree=[entry("", "blob", FILE)]),
        lambda tree: tree.update(tree=["1.sql"]),
    ],
    ids=["cut-short", "unsaid", "text", "no-list", "no-id", "odd-id", "no-path", "no-entry"],
)
def test_a_tree_that_is_not_proven_whole_is_an_error(
    forge: Forge, repository: Repository, tree: HeadSha, change: Change
) -> None:
    change(repository.trees[tree])
    with pytest.raises(TransientError) as raised:
        forge.list_files("acme/shop", HEAD, "db")
    assert raised.value.reason == "ForgeAnswer"


def test_gitea_must_give_as_many_entries_as_it_says(
    repository: Repository, server: ScriptedServer, tmp_path: Path
) -> None:
    repository.trees[FOLDER]["total_count"] = 2
    (tmp_path / "token").write_text("t")
    with (
        closing(GiteaForge(api_url=server.url, token_file=tmp_path / "token")) as gitea,
        pytest.raises(TransientError, match="1 entries of 2"),
    ):
        gitea.list_files("acme/shop", HEAD, "db")


def test_what_is_neither_file_nor_folder_is_left_out(forge: Forge, repository: Repository) -> None:
    entries = [entry("1.sql", "blob", FILE), entry("vendored", "commit", FOLDER)]
    repository.trees[FOLDER] |= {"tree": entries, "total_count": 2}
    assert forge.list_files("acme/shop", HEAD, "db") == {"db/1.sql": FILE}
    assert forge.list_files("acme/shop", HEAD, "db/vendored") == {}


def test_a_commit_that_is_not_there_is_an_error(forge: Forge, repository: Repository) -> None:
    del repository.trees[HEAD]
    with pytest.raises(TransientError):
        forge.list_files("acme/shop", HEAD, "db")

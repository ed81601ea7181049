"""Files and changed paths at Gitea."""

from urllib.parse import parse_qs, quote, urlsplit

from previews.adapters.forges.answers import Json, Request, malformed, repository_path, text
from previews.adapters.forges.contents import read_changed_paths, read_root_file
from previews.adapters.forges.gitea_connection import PAGES_MAX, GiteaConnection
from previews.adapters.forges.trees import Entry, is_cut_short, list_files, read_entries
from previews.domain.forge_ports import ChangedPaths
from previews.domain.preview import HeadSha, parse_head_sha

CHANGED_FILES_MAX = 3000
"""GitHub's own limit. Gitea has none, but compares the whole branches again for each page."""
TREE_PER_PAGE = 1000
"""Gitea's own limit for trees, which have their own."""


class GiteaContents:
    """The files' part of ports.Forge. Safe from any thread."""

    def __init__(self, connection: GiteaConnection) -> None:
        self._connection = connection

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        path = repository_path(repository, "pulls", number, "files")
        asked = Request("GET", path)
        files, is_whole = self._connection.list_at_most(path, CHANGED_FILES_MAX)
        if len({_head_of(asked, each) for each in files}) > 1:
            raise malformed(asked, "the files of a head that changed while they were read")
        paths = frozenset[str]().union(*(read_changed_paths(asked, each) for each in files))
        return ChangedPaths(paths, is_whole=is_whole)

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        def fetch_blob(blob: str) -> tuple[Request, Json]:
            url = repository_path(repository, "git", "blobs", blob)
            _, document = self._connection.ask("GET", url, wants=dict)
            return Request("GET", url), document

        # Gitea takes the name of a tag for a tree as well, so the branch has to say itself where it stands.
        url = repository_path(repository, "branches", quote(branch, safe=""))
        _, document = self._connection.ask("GET", url, wants=dict)
        tip = _tip_of(Request("GET", url), document)
        return read_root_file(self._tree(repository, tip, recursive=False), path, fetch_blob)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> dict[str, str]:
        def read(tree: str, *, recursive: bool) -> list[Entry]:
            return self._tree(repository, tree, recursive=recursive)

        return list_files(read, head_sha, folder)

    def _tree(self, repository: str, tree: str, *, recursive: bool) -> list[Entry]:
        """All entries of all pages, as many as Gitea says there are."""
        path = repository_path(repository, "git", "trees", tree)
        asked = Request("GET", path)
        found: list[Entry] = []
        for page in range(1, PAGES_MAX + 1):
            query = {"per_page": str(TREE_PER_PAGE), "page": str(page)}
            query |= {"recursive": "true"} if recursive else {}
            _, document = self._connection.ask("GET", path, wants=dict, parameters=query)
            entries = read_entries(asked, document)
            found += entries
            total, is_partial = document.get("total_count"), is_cut_short(asked, document)
            if not is_partial and total == len(found):
                return found
            if not is_partial or not entries or total == len(found):
                raise malformed(asked, f"{len(found)} entries of {total}")
        raise malformed(asked, f"more than {PAGES_MAX} pages")


def _head_of(asked: Request, document: Json) -> str:
    """The commit that a changed file was seen at."""
    try:
        (head_sha,) = parse_qs(urlsplit(text(document["contents_url"])).query)["ref"]
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete changed file ({error!r})") from error
    return head_sha


def _tip_of(asked: Request, document: Json) -> str:
    try:
        return parse_head_sha(document["commit"]["id"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete branch ({error!r})") from error

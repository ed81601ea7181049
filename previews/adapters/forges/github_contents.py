"""Files and changed paths at GitHub."""

from urllib.parse import quote

from previews.adapters.forges.answers import Json, Request, malformed, repository_path
from previews.adapters.forges.contents import read_changed_paths, read_root_file
from previews.adapters.forges.github_connection import GitHubConnection
from previews.adapters.forges.trees import Entry, is_cut_short, list_files, read_entries
from previews.domain.forge_ports import ChangedPaths
from previews.domain.preview import HeadSha

CHANGED_FILES_MAX = 3000
"""GitHub lists no more of one pull request, and does not say that it leaves some out."""


class GitHubContents:
    """The files' part of ports.Forge. Safe from any thread."""

    def __init__(self, connection: GitHubConnection) -> None:
        self._connection = connection

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        path = repository_path(repository, "pulls", number, "files")
        files = self._connection.fetch_all(path, read_changed_paths)
        return ChangedPaths(frozenset().union(*files), is_whole=len(files) < CHANGED_FILES_MAX)

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        def fetch_blob(blob: str) -> tuple[Request, Json]:
            url = repository_path(repository, "git", "blobs", blob)
            _, document = self._connection.ask("GET", url, wants=dict)
            return Request("GET", url), document

        tree = repository_path(repository, "git", "trees", quote(branch, safe=""))
        return read_root_file(self._connection.fetch(tree, _read_tree), path, fetch_blob)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> dict[str, str]:
        def read(tree: str, *, recursive: bool) -> list[Entry]:
            path = repository_path(repository, "git", "trees", tree)
            # GitHub takes any value for yes.
            parameters = {"recursive": "1"} if recursive else None
            _, document = self._connection.ask("GET", path, wants=dict, parameters=parameters)
            return _read_tree(Request("GET", path), document)

        return list_files(read, head_sha, folder)


def _read_tree(asked: Request, document: Json) -> list[Entry]:
    if is_cut_short(asked, document):
        raise malformed(asked, "a part of a tree that has too many files")
    return read_entries(asked, document)

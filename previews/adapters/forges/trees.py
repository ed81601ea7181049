"""Git's trees as GitHub and Gitea give them. What is not proven to be a whole tree is an error, never a shorter one."""

import re
from dataclasses import dataclass
from typing import Protocol

from previews.adapters.forges.answers import Json, Request, malformed, whole_number

_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a folder or something else in a tree, with the path from that tree."""

    path: str
    kind: str
    id: str
    size: int
    """In bytes; zero for what is no file."""


class ReadTree(Protocol):
    def __call__(self, tree: str, *, recursive: bool) -> list[Entry]:
        """The entries of a commit's or a folder's tree, and of all folders in it if that is wanted as well."""
        ...


def list_files(read: ReadTree, head_sha: str, folder: str) -> dict[str, str]:
    """What `ports.Forge.list_files` promises.

    Goes down to the folder first: the whole tree of a large repository is more than a forge gives at once.
    """
    parts = [part for part in folder.split("/") if part not in {"", "."}]
    tree = head_sha
    for part in parts:
        folders = {
            each.path: each.id for each in read(tree, recursive=False) if each.kind == "tree"
        }
        if part not in folders:
            return {}
        tree = folders[part]
    files = [each for each in read(tree, recursive=True) if each.kind == "blob"]
    return {"/".join([*parts, each.path]): each.id for each in files}


def read_entries(asked: Request, document: Json) -> list[Entry]:
    """The entries in an answer. Raises for one that is not whole, whatever it says of further ones."""
    try:
        # Gitea writes null where there are none.
        return [_entry(each) for each in document["tree"] or ()]
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete tree ({error!r})") from error


def is_cut_short(asked: Request, document: Json) -> bool:
    """Whether the forge says that there is more of the tree."""
    said = document.get("truncated")
    if not isinstance(said, bool):
        raise malformed(asked, "a tree that does not say whether it is whole")
    return said


def _entry(document: Json) -> Entry:
    path, kind, object_id = document["path"], document["type"], document["sha"]
    if not isinstance(path, str) or not path or not isinstance(kind, str):
        raise TypeError("a path and a type expected")
    if not isinstance(object_id, str) or not _OBJECT_ID.fullmatch(object_id):
        raise ValueError(f"an object id expected, not {object_id!r}")
    # Gitea says 0 of a folder, and GitHub nothing.
    size = whole_number(document.get("size") or 0)
    return Entry(path.encode(errors="replace").decode(), kind, object_id, size)

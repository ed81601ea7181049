"""A commit's files as Git's trees. Their ids are made up: nobody but the stand-in itself is shown one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tree:
    """One folder with all that is below it."""

    id: str
    entries: list[tuple[str, str, str]]
    """Path, kind and id of each file and folder."""


def trees_of(files: Mapping[str, str]) -> list[Tree]:
    """The tree of a commit with these files, by path, and after it those of the folders in it."""
    below = {path.partition("/")[0] for path in files if "/" in path}
    folders = {
        name: trees_of(
            {
                path.partition("/")[2]: blob
                for path, blob in files.items()
                if path.startswith(f"{name}/")
            }
        )
        for name in sorted(below)
    }
    entries = [(path, "blob", blob) for path, blob in sorted(files.items())]
    for name, (own, *_) in folders.items():
        entries.append((name, "tree", own.id))
        entries += [
            (f"{name}/{path}", kind, object_id)
            for path, kind, object_id in own.entries
            if kind == "tree"
        ]
    tree_id = hashlib.sha1(repr(sorted(entries)).encode()).hexdigest()
    return [Tree(tree_id, entries), *(tree for trees in folders.values() for tree in trees)]

"""Our folder of the GitOps repository at one commit, by preview and by shard. Pure."""

from collections import defaultdict
from collections.abc import Mapping

from previews.domain.naming import ROOTS_FOLDER, folder_of, key_of_folder
from previews.domain.ports import Tree
from previews.domain.preview import PreviewKey

KEEP_FILE = "keep.yaml"


class Tip:
    """What a tree says."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        folders: dict[str, dict[str, str]] = defaultdict(dict)
        for path, blob in tree.blobs.items():
            folder, _, name = path.rpartition("/")
            folders[folder][name] = blob
        self._folders = dict(folders)

    def files(self, key: PreviewKey) -> Mapping[str, str]:
        """Blob ids of a preview's files, by name."""
        return self._folders.get(folder_of(key), {})

    def keys(self) -> set[PreviewKey]:
        """Every preview that has files."""
        keys = (key_of_folder(folder) for folder in self._folders)
        return {key for key in keys if key is not None}

    def roots(self) -> set[str]:
        """Every shard that has a root."""
        return {name.removesuffix(".yaml") for name in self._folders.get(ROOTS_FOLDER, {})}

    def shards(self) -> set[str]:
        """Every shard that has a root, or an object that keeps its folder."""
        kept = {
            folder.replace("/", "-")
            for folder, files in self._folders.items()
            if KEEP_FILE in files and folder.count("/") == 1
        }
        return self.roots() | kept

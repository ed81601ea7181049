"""Our folder of the GitOps repository at one commit, by preview and by shard, and the course of its commits. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

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


class Course:
    """The commits that this process saw at the tip, in their order, and which of them changed a preview last."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._changes: dict[PreviewKey, tuple[int, frozenset[str]]] = {}

    def reaches(self, commit: str) -> None:
        """This commit is the tip now."""
        self._places.setdefault(commit, len(self._places))

    def changed(self, commit: str, names_before: Mapping[PreviewKey, frozenset[str]]) -> None:
        """This commit is ours, and changed these previews, which had files of these names before."""
        place = self._places[commit]
        self._changes |= {key: (place, names) for key, names in names_before.items()}

    def names_before(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]:
        """What a preview had before its last change, if none of these commits is that one or a later one."""
        # A commit that was never seen at the tip is somebody else's, after ours.
        newest = max((self._places.get(each, len(self._places)) for each in commits), default=0)
        place, names = self._changes.get(key, (0, frozenset()))
        return names if newest < place else frozenset()

"""What our folder of the GitOps branch has at present: at its tip, on its way there, and where Argo CD may still be.

Everybody may ask. Only the writer says what it read, and what it is about to push.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache

from previews.domain.naming import folder_of, root_name, shard_of
from previews.domain.ports import GitOpsRepository, Tree
from previews.domain.preview import Manifests, PreviewKey
from previews.errors import PreviewsError, TransientError
from previews.reconcile.tip import Course, Tip

FILES_REMEMBERED = 4096
"""Answers about older commits, asked again every second of a removal."""


class GitBranch:
    """Safe from any thread. A branch that was not read yet is not empty: what depends on it raises TransientError."""

    def __init__(self, repository: GitOpsRepository, *, instance: str) -> None:
        self._repository = repository
        self._instance = instance
        # One lock: what is on its way and what has arrived are looked at together.
        self._lock = threading.Lock()
        self._tip: Tip | None = None
        self._under_way: dict[PreviewKey, Mapping[str, str]] = {}
        """The files that a push carries, until its outcome is known."""
        self._course = Course()
        self._problem: PreviewsError | None = None
        # A commit is the same for ever.
        self._files_at = lru_cache(maxsize=FILES_REMEMBERED)(repository.files_at)

    def tip(self) -> Tip:
        """Our folder as it was last read. Raises TransientError before the first fetch."""
        with self._lock:
            return self._read()

    def _read(self) -> Tip:
        if self._tip is None:
            raise self._problem or TransientError(
                "GitUnreachable", "the GitOps repository has not been read yet"
            )
        return self._tip

    def files_in_git(self, key: PreviewKey) -> Mapping[str, str]:
        """Blob ids of a preview's files at the tip, by name. Raises TransientError before the first fetch."""
        return self.tip().files(key)

    def names_in_git(self, key: PreviewKey) -> frozenset[str]:
        """The names of a preview's files at the tip, and of those that a push may have brought there by now.

        What is on its way, or was when the answer was lost, is not absent. Raises TransientError before a first fetch.
        """
        with self._lock:
            return frozenset(self._read().files(key)) | frozenset(self._under_way.get(key, ()))

    def text_in_git(self, key: PreviewKey, name: str, known: str | None) -> str | None:
        """The text of one of a preview's files at the tip, or on its way there; None if it is neither.

        Nothing is read if it is `known`. Raises TransientError before the first fetch.
        """
        with self._lock:
            under_way = self._under_way.get(key, {})
        if name in under_way:
            return under_way[name]
        tip = self.tip()
        blob = tip.files(key).get(name)
        if blob is None or (known is not None and self.blob_id(known) == blob):
            return None if blob is None else known
        return self._repository.read_file(tip.tree.commit, f"{folder_of(key)}/{name}")

    def blob_id(self, text: str) -> str:
        """The id that Git gives a file of this text."""
        return self._repository.blob_id(text)

    def blob_ids(self, manifests: Manifests) -> dict[str, str]:
        """The ids that Git gives these files, by name."""
        return {name: self.blob_id(text) for name, text in manifests.files.items()}

    def is_written(self, key: PreviewKey, manifests: Manifests) -> bool:
        """Whether the tip has exactly these files for a preview."""
        return self.files_in_git(key) == self.blob_ids(manifests)

    def files_in_use(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]:
        """The names of a preview's files in any of these commits, from which Argo CD works.

        Before it has seen our last write, it may be at any commit before that one.
        """
        known = tuple(commits)
        with self._lock:
            found = self._course.names_before(key, known)
        for commit in known:
            found |= self._files_at(commit, folder_of(key))
        return found

    def keys_in_git(self) -> set[PreviewKey]:
        """Every preview that has files at the tip. Raises TransientError before the first fetch."""
        return self.tip().keys()

    def shards_in_git(self) -> set[str]:
        """Every shard that has files at the tip. Raises TransientError before the first fetch."""
        return self.tip().shards()

    def root_of(self, key: PreviewKey) -> str:
        """The name of the shard root that a preview belongs to."""
        return root_name(self._instance, shard_of(key))

    def problem(self) -> PreviewsError | None:
        """Why the branch cannot be read or written at present."""
        return self._problem

    def is_read(self) -> bool:
        """Whether there was a first fetch."""
        with self._lock:
            return self._tip is not None

    def reaches(self, tree: Tree) -> None:
        """This is the tip now, and nothing is on its way any more."""
        tip = Tip(tree)
        with self._lock:
            self._tip = tip
            self._under_way = {}
            self._course.reaches(tree.commit)

    def sends(self, under_way: Mapping[PreviewKey, Mapping[str, str]]) -> None:
        """These files, by preview and name, are what the next push carries."""
        with self._lock:
            self._under_way = dict(under_way)

    def was_changed(self, names_before: Mapping[PreviewKey, frozenset[str]]) -> None:
        """The tip is ours, and changed these previews, which had files of these names before."""
        with self._lock:
            self._course.changed(self._read().tree.commit, names_before)

    def note_problem(self, problem: PreviewsError | None) -> bool:
        """Keep why the branch cannot be read or written, or that it can. Says whether that is news."""
        known, self._problem = self._problem, problem
        return (known and known.message) != (problem and problem.message)

"""A GitOps repository in memory, with a history, other writers, and the ways in which a server can fail."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Self

from previews.adapters.gitops import FILE_BYTES_MAX
from previews.domain.ports import PushRejectedError, Tree
from previews.errors import StalledError, TransientError


@dataclass(frozen=True)
class FakeCommit:
    """A commit: all files of our folder, by path, as they are after it."""

    parent: Self | None
    files: Mapping[str, str]
    message: str
    author: str

    @cached_property
    def id(self) -> str:
        parent = self.parent.id if self.parent else ""
        said = repr((parent, sorted(self.files.items()), self.message, self.author))
        return hashlib.sha1(said.encode(errors="surrogatepass")).hexdigest()


class FakeGitOpsRepository:
    """What a test does to it as somebody else stands below the port's own methods."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self._lock = Lock()
        self._known: dict[str, FakeCommit] = {}
        self.tip: FakeCommit | None = None
        self.pushes = 0
        """Pushes of ours that the server took."""
        self.is_unreachable = False
        self.refuses_with: str | None = None
        self.breaks_with: Exception | None = None
        """A bug of ours, met while writing."""
        self.while_pushing: Callable[[], None] = lambda: None
        """What happens elsewhere between our sending a push and the server taking it."""
        self._loses_answers = 0
        self._rejections = 0
        self.commit_as_another(files or {}, "first commit")

    def fetch(self) -> Tree:
        with self._lock:
            self._check_reachable()
            return self._tree(self._existing_tip())

    def push(self, base: Tree, changes: Mapping[str, str | None], message: str) -> Tree:
        _check_changes(base, changes)
        happens, self.while_pushing = self.while_pushing, lambda: None
        happens()
        if self.breaks_with is not None:
            raise self.breaks_with
        with self._lock:
            self._check_reachable()
            if self.refuses_with is not None:
                raise StalledError("GitOpsWriteRefused", f"the server says: {self.refuses_with}")
            if self._rejections:
                self._rejections -= 1
                raise PushRejectedError("PushRejected", "somebody else pushed first")
            tip = self._existing_tip()
            if base.commit != tip.id:
                raise PushRejectedError("PushRejected", "somebody else pushed first")
            self._commit(tip, changes, message, "previews")
            self.pushes += 1
            if self._loses_answers:
                self._loses_answers -= 1
                raise TransientError("GitUnreachable", "the connection ended before the answer")
            return self._tree(self._existing_tip())

    def files_at(self, commit: str, folder: str) -> frozenset[str]:
        with self._lock:
            found = self._known_commit(commit)
            inside = [path.removeprefix(f"{folder}/") for path in found.files]
            return frozenset(
                name
                for name, path in zip(inside, found.files, strict=True)
                if name != path and "/" not in name
            )

    def read_file(self, commit: str, path: str) -> str | None:
        _check_path(path)
        with self._lock:
            text = self._known_commit(commit).files.get(path)
        if text is not None and len(text.encode()) > FILE_BYTES_MAX:
            raise StalledError("GitOpsFileUnreadable", f"{path} at {commit} is too long")
        return text

    def blob_id(self, text: str) -> str:
        content = text.encode()
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()

    # What a test does as somebody else.

    @property
    def files(self) -> Mapping[str, str]:
        """Our folder at the branch's tip."""
        with self._lock:
            return dict(self.tip.files) if self.tip else {}

    @property
    def history(self) -> list[FakeCommit]:
        """The branch's commits, oldest first."""
        with self._lock:
            commits = []
            commit = self.tip
            while commit is not None:
                commits.append(commit)
                commit = commit.parent
            return commits[::-1]

    def commit_as_another(self, changes: Mapping[str, str | None], message: str = "by hand") -> str:
        """Somebody else commits to our folder; returns the commit's id."""
        with self._lock:
            return self._commit(self.tip, changes, message, "somebody else").id

    def set_back_to(self, commit: str) -> None:
        """Somebody else force-pushes an earlier commit."""
        with self._lock:
            self.tip = self._known[commit]

    def delete_branch(self) -> None:
        with self._lock:
            self.tip = None

    def lose_answers(self, count: int = 1) -> None:
        """Take the next pushes, and end the connection before saying so."""
        self._loses_answers = count

    def reject_pushes(self, count: int = 1) -> None:
        """Let somebody be faster at the next pushes, without a change to our folder."""
        self._rejections = count

    def _commit(
        self,
        parent: FakeCommit | None,
        changes: Mapping[str, str | None],
        message: str,
        author: str,
    ) -> FakeCommit:
        files = {
            **(parent.files if parent else {}),
            **{path: text for path, text in changes.items() if text is not None},
        }
        for path, text in changes.items():
            if text is None:
                files.pop(path, None)
        self.tip = FakeCommit(parent, files, message, author)
        self._known[self.tip.id] = self.tip
        return self.tip

    def _existing_tip(self) -> FakeCommit:
        if self.tip is None:
            raise StalledError("GitOpsBranchMissing", "create that branch with a first commit")
        return self.tip

    def _known_commit(self, commit: str) -> FakeCommit:
        self._check_reachable()
        if commit not in self._known:
            raise TransientError("GitCommitUnknown", f"there is no commit {commit!r}")
        return self._known[commit]

    def _check_reachable(self) -> None:
        if self.is_unreachable:
            raise TransientError("GitUnreachable", "the GitOps server does not answer")

    def _tree(self, commit: FakeCommit) -> Tree:
        return Tree(commit.id, {path: self.blob_id(text) for path, text in commit.files.items()})


def _check_changes(base: Tree, changes: Mapping[str, str | None]) -> None:
    if not changes:
        raise ValueError("a commit needs changes")
    for path, text in changes.items():
        if text is None:
            if path not in base.blobs:
                raise ValueError(f"{path!r} cannot be removed: our folder has no such file")
        else:
            _check_path(path)


def _check_path(path: str) -> None:
    if not path.isprintable() or {"", ".", "..", ".git"} & set(path.lower().split("/")):
        raise ValueError(f"{path!r} is not the path of something in our folder")

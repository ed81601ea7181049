"""The GitOps repository, written with git's own plumbing on a bare clone that may be lost at any time.

One commit is one `git fast-import`, sent by one `git push` that the server takes only while the branch is where the
commit began: compare and swap, never force. What the clone does not know is asked of the server again, and a clone that
git itself cannot read is thrown away.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from previews.adapters.git_answers import COMMIT_IS_UNKNOWN, BrokenCloneError, failure, rejection
from previews.adapters.git_command import Credentials, Ended, GitCommand
from previews.domain.ports import Tree
from previews.errors import PreviewsError, StalledError, TransientError

TIP = "refs/previews/tip"
NEXT = "refs/previews/next"
COMMITS_PER_REPACK = 50
"""Each leaves about six loose objects; packing those of fifty commits takes as long as one push."""
FILE_BYTES_MAX = 1024 * 1024
"""Of a file that is read: far more than any that we write."""
REGULAR_FILE = "100644"
PROGRAM = "100755"

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_QUIETLY = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")


class GitRepository:
    """One branch of the GitOps repository, and our folder in it."""

    def __init__(
        self,
        directory: Path,
        *,
        url: str,
        branch: str,
        path: str,
        credentials: Credentials | None,
        author_name: str,
        author_email: str,
        timeout_seconds: float,
    ) -> None:
        if url.startswith("-") or urlsplit(url).password:
            raise ValueError("the GitOps URL must be an address without a password in it")
        if any(character in author_name + author_email for character in "<>\n\0"):
            raise ValueError("the author's name and address must be one line without < and >")
        _check_path(path)
        self._url = url
        self._branch = f"refs/heads/{branch}"
        self._path = path
        self._author = f"{author_name} <{author_email}>"
        self._git = GitCommand(
            directory, url=url, credentials=credentials, timeout_seconds=timeout_seconds
        )
        # Held by whatever writes to the clone, and so by all that asks the server.
        self._lock = Lock()
        self._tree: Tree | None = None
        self._commits_until_repack = 0

    def fetch(self) -> Tree:
        with self._lock:
            try:
                return self._fetch()
            except BrokenCloneError:
                self._discard()
                return self._fetch()

    def push(self, base: Tree, changes: Mapping[str, str | None], message: str) -> Tree:
        _check_changes(base, changes)
        with self._lock:
            try:
                self._git.prepare()
                commit = self._commit(base.commit, changes, message)
                self._send(commit, base.commit)
            except BrokenCloneError:
                self._discard()
                raise
            blobs = {path: blob for path, blob in base.blobs.items() if path not in changes}
            for path, text in changes.items():
                if text is not None:
                    blobs[path] = self.blob_id(text)
            self._tree = Tree(commit, blobs)
            self._repack_now_and_then()
            return self._tree

    def files_at(self, commit: str, folder: str) -> frozenset[str]:
        _check_path(folder)
        inside = f"{self._path}/{folder}/"
        listed = _entries(self._list_at(commit, inside))
        return frozenset(
            path.removeprefix(inside) for path, (_, kind, *_) in listed if kind == "blob"
        )

    def read_file(self, commit: str, path: str) -> str | None:
        _check_path(path)
        file = f"{self._path}/{path}"
        entry = dict(_entries(self._list_at(commit, file, "--long"))).get(file)
        if entry is None or entry[1] != "blob":
            return None
        mode, _, blob, size = entry
        unreadable = f"{path} at {commit} in {self._url} cannot be read"
        if mode not in {REGULAR_FILE, PROGRAM}:
            raise StalledError("GitOpsFileUnreadable", f"{unreadable}: it is a link")
        if int(size) > FILE_BYTES_MAX:
            raise StalledError("GitOpsFileUnreadable", f"{unreadable}: it has {size} bytes")
        read = self._git.run("cat-file", "blob", blob)
        if read.code:
            with self._lock:
                raise self._lost(read)
        try:
            read.output.encode()
        except UnicodeEncodeError as error:
            raise StalledError("GitOpsFileUnreadable", f"{unreadable}: it is no UTF-8") from error
        return read.output

    def blob_id(self, text: str) -> str:
        content = text.encode()
        header = b"blob %d\0" % len(content)
        return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()

    def _fetch(self) -> Tree:
        self._git.prepare()
        # The first fetch takes the tip alone; those after it, what came since.
        depth = () if self._tree else ("--depth=1",)
        refspec = f"+{self._branch}:{TIP}"
        ended = self._git.run("fetch", *_QUIETLY, *depth, "--", self._url, refspec)
        if ended.code:
            raise self._failure("fetch from", ended)
        commit = self._git.succeed("rev-parse", "--verify", TIP).strip()
        if self._tree is None or self._tree.commit != commit:
            ended = self._list(commit, f"{self._path}/", "-r")
            if ended.code:
                raise self._failure("read", ended)
            self._tree = Tree(commit, self._blobs(ended))
            self._repack_now_and_then()
        return self._tree

    def _blobs(self, listed: Ended) -> dict[str, str]:
        """Blob ids by path. A link, program or submodule gets an id that no text has: it is not what we wrote."""
        return {
            path.removeprefix(f"{self._path}/"): blob if mode == REGULAR_FILE else f"{mode}:{blob}"
            for path, (mode, _, blob) in _entries(listed)
        }

    def _list_at(self, commit: str, inside: str, *options: str) -> Ended:
        """List an earlier commit, which the server is asked for if the clone does not have it."""
        if not _COMMIT_ID.fullmatch(commit):
            raise TransientError("GitCommitUnknown", f"{commit[:80]!r} is not a commit's id")
        listed = self._list(commit, inside, *options)
        if not listed.code:
            return listed
        with self._lock:
            self._git.prepare()
            fetched = self._git.run("fetch", *_QUIETLY, "--depth=1", "--", self._url, commit)
            if fetched.code and COMMIT_IS_UNKNOWN.search(fetched.errors):
                raise TransientError(
                    "GitCommitUnknown", f"{self._url} does not know commit {commit}"
                )
            if fetched.code:
                raise self._lost(fetched, "fetch from")
            listed = self._list(commit, inside, *options)
            if listed.code:
                raise self._lost(listed)
        return listed

    def _lost(self, ended: Ended, doing: str = "read") -> PreviewsError:
        """What to raise for what could not be read; a broken clone is thrown away."""
        error = self._failure(doing, ended)
        if isinstance(error, BrokenCloneError):
            self._discard()
        return error

    def _list(self, commit: str, inside: str, *options: str) -> Ended:
        return self._git.run("ls-tree", "-z", "--full-tree", *options, commit, "--", inside)

    def _commit(self, base: str, changes: Mapping[str, str | None], message: str) -> str:
        """Write one commit into the clone and return its id. Nobody else sees it yet."""
        stream = bytearray()
        stream += f"commit {NEXT}\nmark :1\ncommitter {self._author} now\n".encode()
        stream += _data(_readable(message))
        stream += f"from {base}\n".encode()
        # Removals first: a file may make room for a folder of its name.
        for path, text in sorted(changes.items(), key=lambda change: change[1] is not None):
            quoted = _quoted(f"{self._path}/{path}")
            if text is None:
                stream += b"D " + quoted + b"\n"
            else:
                stream += f"M {REGULAR_FILE} inline ".encode() + quoted + b"\n" + _data(text)
        stream += b"get-mark :1\ndone\n"
        # Forced is only our own private ref, which still names the commit before.
        options = ("--quiet", "--force", "--done", "--date-format=now")
        return self._git.succeed("fast-import", *options, stream=bytes(stream)).strip()

    def _send(self, commit: str, expected: str) -> None:
        """Move the branch from `expected` to its child `commit`.

        The lease makes it compare and swap: a plain push would also accept a branch that was set back to an earlier
        commit, and bring the dropped ones back. As `commit` is a child of `expected`, nothing is ever forced.
        """
        lease = f"--force-with-lease={self._branch}:{expected}"
        target = f"{commit}:{self._branch}"
        ended = self._git.run("push", "--porcelain", "--no-verify", lease, "--", self._url, target)
        if not ended.code:
            return
        refused = [line for line in ended.output.splitlines() if line.startswith("!\t")]
        if not refused:
            raise self._failure("push to", ended)
        answer = refused[0].rpartition("\t")[2]
        said = " ".join(line for line in ended.errors.splitlines() if line.startswith("remote:"))
        raise rejection(url=self._url, answer=answer, words=self._git.words(f"{said} {answer}"))

    def _failure(self, doing: str, ended: Ended) -> PreviewsError:
        words = self._git.words(ended.errors)
        return failure(doing=doing, url=self._url, errors=ended.errors, words=words)

    def _discard(self) -> None:
        self._tree = None
        self._git.discard()

    def _repack_now_and_then(self) -> None:
        """Between two commits and by the thread that makes them, so that it never holds a lock against one."""
        self._commits_until_repack -= 1
        if self._commits_until_repack < 0:
            self._commits_until_repack = COMMITS_PER_REPACK
            # It only saves room: if it fails, it is tried again later.
            with suppress(TransientError):
                self._git.succeed("repack", "--geometric=2", "-d", "-q")


def _check_changes(base: Tree, changes: Mapping[str, str | None]) -> None:
    if not changes:
        raise ValueError("a commit needs changes")
    for path, text in changes.items():
        if text is not None:
            _check_path(path)
        elif path not in base.blobs:
            # Git would take a folder's path for all that is in it.
            raise ValueError(f"{path!r} cannot be removed: our folder has no such file")


def _check_path(path: str) -> None:
    """Raises ValueError unless the path is relative, plain and stays below where it starts."""
    parts = path.split("/")
    if not path.isprintable() or any(
        part in {"", ".", ".."} or part.lower() == ".git" for part in parts
    ):
        raise ValueError(f"{path!r} is not the path of something in our folder")


def _entries(listed: Ended) -> list[tuple[str, list[str]]]:
    """Mode, kind and id, with `--long` the size as well, by path, from `ls-tree -z`."""
    rows = (row.partition("\t") for row in listed.output.split("\0") if row)
    return [(path, what.split()) for what, _, path in rows]


def _readable(message: str) -> str:
    """A message that shows what it says: control and formatting characters would hide or reorder some of it."""
    hidden = {"Cc", "Cf", "Cs"}
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in hidden else "\ufffd" for c in message
    )


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n" % len(content) + content + b"\n"


def _quoted(path: str) -> bytes:
    """As fast-import reads a path that may hold anything; surrogates are the bytes of a name that is not UTF-8."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode(errors="surrogateescape")

"""Makes the GitOps branch say what is wanted: one commit for everything that is due, pushed, never forced.

Level-triggered. It knows the blob ids of the files that each preview should have, compares them with our folder at the
branch's tip, and commits the difference. A rejected push, a hand-edited file, a lost answer and a restart are all the
same case: read the tip and compare again. What is in Git but was not decided by this process is left alone: a store
that was lost, or restored from yesterday, overwrites nothing.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

import structlog

from previews.domain.commit_message import Change, commit_message
from previews.domain.naming import (
    ROOTS_FOLDER,
    folder_of,
    key_of_folder,
    root_name,
    shard_of,
    top_root_name,
)
from previews.domain.ports import (
    Cluster,
    GitOpsRepository,
    PushRejectedError,
    Renderer,
    Store,
    Tree,
)
from previews.domain.preview import Manifests, PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.effects import Effect, Effects

PUSH_ATTEMPTS_MAX = 10
RETRY_SECONDS = 2.0
STALLED_RETRY_SECONDS = 60.0
"""After a refusal that only a person can mend."""
FILES_REMEMBERED = 4096
"""Answers about older commits, asked again every second of a removal."""

_log = structlog.get_logger("previews.gitops")


class GitOpsWriter:
    """The one writer of our folder. `run` is its thread; everything else is safe from any thread."""

    def __init__(
        self,
        repository: GitOpsRepository,
        renderer: Renderer,
        store: Store,
        cluster: Cluster,
        effects: Effects,
        *,
        instance: str,
        on_written: Callable[[Iterable[PreviewKey]], None],
        pushes_per_minute: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._store = store
        self._cluster = cluster
        self._effects = effects
        self._instance = instance
        self._on_written = on_written
        self._seconds_between_pushes = 60 / pushes_per_minute if pushes_per_minute else 0.0
        self._monotonic = monotonic
        self._next_push_at = 0.0
        self._not_before = 0.0
        self._changed = threading.Condition()
        self._wanted: dict[PreviewKey, Mapping[str, str]] = {}
        self._submitted: dict[PreviewKey, tuple[Manifests, str]] = {}
        self._due = True
        self._fetch_due = True
        self._stopping = False
        self._tree: Tree | None = None
        self._folders: Mapping[str, Mapping[str, str]] = {}
        self._unrefreshed: set[str] = {top_root_name(instance)}
        self._problem: PreviewsError | None = None
        # A shard's files are the same for ever, and so is a commit.
        self._render_shard = lru_cache(maxsize=None)(renderer.render_shard)
        self._files_at = lru_cache(maxsize=FILES_REMEMBERED)(repository.files_at)

    def submit(self, key: PreviewKey, manifests: Manifests, actor: str) -> None:
        """Want these files for a preview. Returns at once; `on_written` follows when they are in Git."""
        with self._changed:
            self._wanted[key] = self._blob_ids(manifests)
            self._submitted[key] = (manifests, actor)
            self._due = True
            self._changed.notify()

    def request_fetch(self) -> None:
        """Look at the branch again, and mend what somebody else changed in our folder."""
        with self._changed:
            self._fetch_due = self._due = True
            self._changed.notify()

    def files_in_git(self, key: PreviewKey) -> Mapping[str, str]:
        """Blob ids of a preview's files at the tip, by name. Raises TransientError before the first fetch."""
        with self._changed:
            if self._tree is None:
                raise self._problem or TransientError(
                    "GitUnreachable", "the GitOps repository has not been read yet"
                )
            return self._folders.get(folder_of(key), {})

    def is_written(self, key: PreviewKey, manifests: Manifests) -> bool:
        """Whether the tip has exactly these files for a preview."""
        return self.files_in_git(key) == self._blob_ids(manifests)

    def files_in_use(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]:
        """The names of a preview's files in any of these commits."""
        found: frozenset[str] = frozenset()
        for commit in commits:
            found |= self._files_at(commit, folder_of(key))
        return found

    def keys_in_git(self) -> set[PreviewKey]:
        """Every preview that has files at the tip."""
        with self._changed:
            keys = (key_of_folder(folder) for folder in self._folders)
            return {key for key in keys if key is not None}

    def problem(self) -> PreviewsError | None:
        """Why the branch cannot be read or written at present."""
        return self._problem

    def run(self) -> None:
        """Write until `stop`. What was submitted before the stop is still pushed, once."""
        while True:
            with self._changed:
                while not self._stopping:
                    wait = self._seconds_to_next()
                    if wait == 0:
                        break
                    self._changed.wait(wait)
                stopping = self._stopping
            self.write_due()
            if stopping:
                return

    def write_due(self) -> bool:
        """Bring the branch up to date if anything changed. Says whether there was anything to look at."""
        with self._changed:
            if not self._due or (self._seconds_to_next() and not self._stopping):
                return False
            self._due = False
        try:
            self._write()
        except PreviewsError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the only writer in silence
            _log.exception("bug")
            self._fail(TransientError("InternalError", f"a bug in previews: {error!r}"))
        else:
            self._set_problem(None)
            self._refresh_or_again()
        return True

    def seconds_to_next(self) -> float | None:
        """How long until there is something to write; None while nothing is due."""
        with self._changed:
            return self._seconds_to_next()

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._not_before - self._monotonic()) if self._due else None

    def stop(self) -> None:
        """End `run` after one last write."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _blob_ids(self, manifests: Manifests) -> dict[str, str]:
        return {name: self._repository.blob_id(text) for name, text in manifests.files.items()}

    def _fail(self, error: PreviewsError) -> None:
        self._set_problem(error)
        asked = error.retry_after_seconds if isinstance(error, TransientError) else None
        usual = STALLED_RETRY_SECONDS if isinstance(error, StalledError) else RETRY_SECONDS
        with self._changed:
            self._not_before = self._monotonic() + (asked or usual)
            self._fetch_due = self._due = True

    def _set_problem(self, error: PreviewsError | None) -> None:
        known = self._problem
        if (known and known.message) == (error and error.message):
            return
        self._problem = error
        if error:
            _log.warning("not written", reason=error.reason, message=error.message)
        with self._changed:
            waiting = list(self._submitted)
        self._on_written(waiting)

    def _write(self) -> None:
        with self._changed:
            fetch, self._fetch_due = self._fetch_due, False
        if self._tree is None:
            self._see(self._repository.fetch())
            # A crash after the last push may have lost its refresh.
            roots = self._folders.get(ROOTS_FOLDER, {})
            shards = (name.removesuffix(".yaml") for name in roots)
            self._unrefreshed |= {root_name(self._instance, shard) for shard in shards}
        elif fetch:
            self._see(self._repository.fetch())
        for _ in range(PUSH_ATTEMPTS_MAX):
            keys, changes = self._difference()
            if not changes:
                self._settle()
                return
            if self._waited_for_budget():
                continue
            try:
                self._push(keys, changes)
            except PushRejectedError:
                self._see(self._repository.fetch())
        raise TransientError(
            "GitContended",
            f"the branch moved on {PUSH_ATTEMPTS_MAX} times while previews were written",
        )

    def _waited_for_budget(self) -> bool:
        """Whether the push had to wait: then more may have become due, and goes with it."""
        with self._changed:
            wait = self._next_push_at - self._monotonic()
            if wait > 0 and not self._stopping:
                self._changed.wait_for(lambda: self._stopping, timeout=wait)
                return True
        self._next_push_at = self._monotonic() + self._seconds_between_pushes
        return False

    def _see(self, tree: Tree) -> None:
        folders: dict[str, dict[str, str]] = defaultdict(dict)
        for path, blob in tree.blobs.items():
            folder, _, name = path.rpartition("/")
            folders[folder][name] = blob
        with self._changed:
            self._tree = tree
            self._folders = dict(folders)

    def _difference(self) -> tuple[list[PreviewKey], dict[str, str | None]]:
        """The previews whose folder is not as wanted, and every change of a file that mends it.

        Files that came back for a preview that should have none are not taken away here: they are removed in stages,
        as any preview (`_settle` reports them).
        """
        with self._changed:
            wanted = {
                key: files for key, files in self._wanted.items() if files or key in self._submitted
            }
        keys = [key for key, files in wanted.items() if self.files_in_git(key) != files]
        changes: dict[str, str | None] = {}
        for key in keys:
            folder, there = folder_of(key), self.files_in_git(key)
            texts = self._texts(key)
            changes |= {f"{folder}/{name}": None for name in there if name not in texts}
            changes |= {f"{folder}/{name}": text for name, text in texts.items()}
        for shard in sorted({shard_of(key) for key, files in wanted.items() if files}):
            changes |= self._shard_changes(shard)
        return keys, changes

    def _texts(self, key: PreviewKey) -> Mapping[str, str]:
        """The files as submitted; after a push only the store has them."""
        with self._changed:
            submitted = self._submitted.get(key)
        if submitted is not None:
            return submitted[0].files
        record = self._store.load(key)
        return record.manifests.files if record and record.manifests else {}

    def _shard_changes(self, shard: str) -> dict[str, str | None]:
        blobs = self._tree.blobs if self._tree else {}
        return {
            path: text
            for path, text in self._render_shard(shard).items()
            if blobs.get(path) != self._repository.blob_id(text)
        }

    def _push(self, keys: Sequence[PreviewKey], changes: Mapping[str, str | None]) -> None:
        base = self._tree
        if base is None:
            return
        # Before the push: its answer may be lost although the server took it.
        self._unrefreshed |= {self.root_of(key) for key in keys}
        if any(path.startswith(f"{ROOTS_FOLDER}/") for path in changes):
            self._unrefreshed.add(top_root_name(self._instance))
        message = commit_message(self._instance, [self._change(key) for key in keys])
        summary = message.partition("\n")[0]
        self._see(
            self._effects.perform(
                Effect.PUSH, summary, lambda: self._repository.push(base, changes, message)
            )
        )

    def root_of(self, key: PreviewKey) -> str:
        """The name of the shard root that a preview belongs to."""
        return root_name(self._instance, shard_of(key))

    def _change(self, key: PreviewKey) -> Change:
        with self._changed:
            submitted = self._submitted.get(key)
        record = None if submitted else self._store.load(key)
        if submitted is None and record is not None and record.manifests is not None:
            author = record.pull_request.author if record.pull_request else ""
            submitted = (record.manifests, author)
        if submitted is None:
            raise StalledError("InternalError", f"{key} is to be written, but nothing says what")
        manifests, actor = submitted
        return Change(key, manifests.stage, manifests.head_sha, actor)

    def _settle(self) -> None:
        """Everything wanted is in Git: forget the texts, tell the previews."""
        with self._changed:
            written = [
                key
                for key in self._submitted
                if self._folders.get(folder_of(key), {}) == self._wanted[key]
            ]
            for key in written:
                del self._submitted[key]
            came_back = [
                key
                for key, files in self._wanted.items()
                if not files and folder_of(key) in self._folders
            ]
        self._on_written([*written, *came_back])

    def _refresh_or_again(self) -> None:
        """What keeps Argo CD from being told is no trouble of Git: the cluster's own watch shows it."""
        try:
            self._refresh()
        except PreviewsError as error:
            _log.warning("not refreshed", reason=error.reason, message=error.message)
            with self._changed:
                self._not_before = self._monotonic() + RETRY_SECONDS
                self._due = True

    def _refresh(self) -> None:
        """Tell Argo CD at once. A shard whose root is not there yet comes through the top."""
        top = top_root_name(self._instance)
        for name in sorted(self._unrefreshed, key=lambda name: name != top):
            there = self._effects.perform(
                Effect.REFRESH_APPLICATION, name, partial(self._cluster.refresh_application, name)
            )
            self._unrefreshed.discard(name)
            if not there:
                _log.info("root is not there yet", application=name)

"""Makes the GitOps branch say what is wanted: one commit for everything that is due, pushed, never forced.

Level-triggered. It knows the blob ids of the files that each preview should have, compares them with our folder at the
branch's tip, and commits the difference. A rejected push, a hand-edited file, a lost answer and a restart are all the
same case: read the tip and compare again. What is in Git but was not decided by this process is left alone: a store
that was lost, or restored from yesterday, overwrites nothing.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

import structlog

from previews.domain.commit_message import Change, commit_message
from previews.domain.naming import (
    ROOTS_FOLDER,
    folder_of,
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
from previews.reconcile.tip import Course, Tip

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
        self._under_way: dict[PreviewKey, Mapping[str, str]] = {}
        """The files that a push carries, until its outcome is known."""
        self._course = Course()
        self._dropped: set[str] = set()
        """Shards that nobody needs any more."""
        self._due = True
        self._fetch_due = True
        self._stopping = False
        self._tip: Tip | None = None
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
        return self._read_tip().files(key)

    def _read_tip(self) -> Tip:
        with self._changed:
            if self._tip is None:
                raise self._problem or TransientError(
                    "GitUnreachable", "the GitOps repository has not been read yet"
                )
            return self._tip

    def names_in_git(self, key: PreviewKey) -> frozenset[str]:
        """The names of a preview's files at the tip, and of those that a push may have brought there by now.

        What is on its way, or was when the answer was lost, is not absent. Raises TransientError before a first fetch.
        """
        with self._changed:
            under_way = self._under_way.get(key)
            return frozenset(self.files_in_git(key)) | frozenset(under_way or ())

    def text_in_git(self, key: PreviewKey, name: str, known: str | None) -> str | None:
        """The text of one of a preview's files at the tip, or on its way there; None if it is neither.

        Nothing is read if it is `known`. Raises TransientError before the first fetch.
        """
        with self._changed:
            under_way = self._under_way.get(key, {})
        if name in under_way:
            return under_way[name]
        tip = self._read_tip()
        blob = tip.files(key).get(name)
        if blob is None or (known is not None and self.blob_id(known) == blob):
            return None if blob is None else known
        return self._repository.read_file(tip.tree.commit, f"{folder_of(key)}/{name}")

    def blob_id(self, text: str) -> str:
        """The id that Git gives a file of this text."""
        return self._repository.blob_id(text)

    def is_written(self, key: PreviewKey, manifests: Manifests) -> bool:
        """Whether the tip has exactly these files for a preview."""
        return self.files_in_git(key) == self._blob_ids(manifests)

    def files_in_use(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]:
        """The names of a preview's files in any of these commits, from which Argo CD works.

        Before it has seen our last write, it may be at any commit before that one.
        """
        known = tuple(commits)
        found = self._course.names_before(key, known)
        for commit in known:
            found |= self._files_at(commit, folder_of(key))
        return found

    def keys_in_git(self) -> set[PreviewKey]:
        """Every preview that has files at the tip. Raises TransientError before the first fetch."""
        return self._read_tip().keys()

    def shards_in_git(self) -> set[str]:
        """Every shard that has files at the tip. Raises TransientError before the first fetch."""
        return self._read_tip().shards()

    def drop_shards(self, shards: Iterable[str]) -> None:
        """Take the files of these shards out of Git, unless a preview has, or is to have, files in them."""
        with self._changed:
            self._dropped.update(shards)
            self._due = True
            self._changed.notify()

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
        if self._tip is None:
            self._see(self._repository.fetch())
            # A crash after the last push may have lost its refresh.
            shards = self._read_tip().roots()
            self._unrefreshed |= {root_name(self._instance, shard) for shard in shards}
        elif fetch:
            self._see(self._repository.fetch())
        rejected = 0
        while rejected < PUSH_ATTEMPTS_MAX:
            keys, changes = self._difference()
            if not changes:
                self._dropped.clear()
                self._settle()
                return
            if self._waited_for_budget():
                continue
            try:
                self._push(keys, changes)
            except PushRejectedError:
                rejected += 1
                self._see(self._repository.fetch())
            else:
                # More may be due already, and always is under steady change: Argo CD hears of this much first.
                self._settle()
                with self._changed:
                    self._due = True
                return
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
        tip = Tip(tree)
        with self._changed:
            self._tip = tip
            self._under_way = {}
            self._course.reaches(tree.commit)

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
            self._under_way = {
                key: self._submitted[key][0].files for key in keys if key in self._submitted
            }
        changes: dict[str, str | None] = {}
        for key in keys:
            folder, there = folder_of(key), self.files_in_git(key)
            texts = self._texts(key)
            changes |= {f"{folder}/{name}": None for name in there if name not in texts}
            changes |= {f"{folder}/{name}": text for name, text in texts.items()}
        needed = {shard_of(key) for key, files in wanted.items() if files}
        for shard in sorted(needed):
            changes |= self._shard_changes(shard)
        return keys, changes | self._dropped_shards(needed)

    def _dropped_shards(self, needed: set[str]) -> dict[str, str | None]:
        with self._changed:
            dropped = self._dropped - needed - {shard_of(key) for key in self.keys_in_git()}
        blobs = self._read_tip().tree.blobs
        paths = (path for shard in sorted(dropped) for path in self._render_shard(shard))
        return {path: None for path in paths if path in blobs}

    def _texts(self, key: PreviewKey) -> Mapping[str, str]:
        """The files as submitted; after a push only the store has them."""
        with self._changed:
            submitted = self._submitted.get(key)
        if submitted is not None:
            return submitted[0].files
        record = self._store.load(key)
        return record.manifests.files if record and record.manifests else {}

    def _shard_changes(self, shard: str) -> dict[str, str | None]:
        blobs = self._read_tip().tree.blobs
        return {
            path: text
            for path, text in self._render_shard(shard).items()
            if blobs.get(path) != self._repository.blob_id(text)
        }

    def _push(self, keys: Sequence[PreviewKey], changes: Mapping[str, str | None]) -> None:
        base = self._read_tip().tree
        # Before the push: its answer may be lost although the server took it.
        self._unrefreshed |= {self.root_of(key) for key in keys}
        if any(path.startswith(f"{ROOTS_FOLDER}/") for path in changes):
            self._unrefreshed.add(top_root_name(self._instance))
        with self._changed:
            restored = [key for key in keys if key not in self._submitted]
        if restored:
            # A commit of somebody else, or a branch that was set back.
            _log.warning(
                "restored", previews=[str(key) for key in restored[:20]], count=len(restored)
            )
        message = commit_message(self._instance, [self._change(key) for key in keys])
        summary = message.partition("\n")[0]
        before = {key: frozenset(self.files_in_git(key)) for key in keys}
        self._see(
            self._effects.perform(
                Effect.PUSH, summary, lambda: self._repository.push(base, changes, message)
            )
        )
        self._course.changed(self._read_tip().tree.commit, before)

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
            tip = self._read_tip()
            written = [key for key in self._submitted if tip.files(key) == self._wanted[key]]
            for key in written:
                del self._submitted[key]
            came_back = [key for key, files in self._wanted.items() if not files and tip.files(key)]
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

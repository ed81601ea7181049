"""Makes the GitOps branch say what is wanted: one commit for everything that is due, pushed, never forced.

Level-triggered: a rejected push, a hand-edited file, a lost answer and a restart are all the same case: the tip is read
and compared again.
"""

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from previews.domain.commit_message import commit_message
from previews.domain.naming import ROOTS_FOLDER, shard_of
from previews.domain.ports import (
    Cluster,
    GitOpsRepository,
    PushRejectedError,
    Renderer,
    Store,
)
from previews.domain.preview import Manifests, PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError
from previews.reconcile.branch import GitBranch
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.roots import RootRefresher
from previews.reconcile.wanted import Batch, WantedFiles

PUSH_ATTEMPTS_MAX = 10
RETRY_SECONDS = 2.0
STALLED_RETRY_SECONDS = 60.0
"""After a refusal that only a person can mend."""

_log = structlog.get_logger("previews.gitops")


class GitOpsWriter:
    """The one writer of our folder. `run` is its thread; everything else is safe from any thread."""

    def __init__(
        self,
        repository: GitOpsRepository,
        branch: GitBranch,
        renderer: Renderer,
        store: Store,
        cluster: Cluster,
        *,
        effects: Effects,
        instance: str,
        on_written: Callable[[Iterable[PreviewKey]], None],
        pushes_per_minute: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`branch` is told of all that is read and pushed."""
        self._repository = repository
        self._branch = branch
        self._wanted = WantedFiles(branch, store, renderer.render_shard)
        self._roots = RootRefresher(cluster, effects, instance=instance)
        self._effects = effects
        self._instance = instance
        self._on_written = on_written
        self._seconds_between_pushes = 60 / pushes_per_minute if pushes_per_minute else 0.0
        self._monotonic = monotonic
        self._next_push_at = 0.0
        self._not_before = 0.0
        self._changed = threading.Condition()
        self._due = True
        self._fetch_due = True
        self._stopping = False

    def submit(self, key: PreviewKey, manifests: Manifests, actor: str) -> None:
        """Want these files for a preview. Returns at once; `on_written` follows when they are in Git."""
        self._wanted.submit(key, manifests, actor)
        self._wake()

    def drop_shards(self, shards: Iterable[str]) -> None:
        """Take the files of these shards out of Git, unless a preview has, or is to have, files in them."""
        self._wanted.drop_shards(shards)
        self._wake()

    def request_fetch(self) -> None:
        """Look at the branch again, and mend what somebody else changed in our folder."""
        self._wake(fetch=True)

    def _wake(self, *, fetch: bool = False) -> None:
        with self._changed:
            self._fetch_due = self._fetch_due or fetch
            self._due = True
            self._changed.notify()

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

    def stop(self) -> None:
        """End `run` after one last write."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def write_due(self) -> bool:
        """Bring the branch up to date if anything changed. Says whether there was anything to look at."""
        with self._changed:
            if not self._due or (self._seconds_to_next() and not self._stopping):
                return False
            self._due = False
        try:
            self._write()
            self._note_problem(None)
            self._refresh_or_again()
        except PreviewsError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a bug must be seen on /readyz, not end the only writer in silence
            _log.exception("bug")
            self._fail(TransientError("InternalError", f"a bug in previews: {error!r}"))
        return True

    def seconds_to_next(self) -> float | None:
        """How long until there is something to write; None while nothing is due."""
        with self._changed:
            return self._seconds_to_next()

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._not_before - self._monotonic()) if self._due else None

    def _fail(self, error: PreviewsError) -> None:
        self._note_problem(error)
        asked = error.retry_after_seconds if isinstance(error, TransientError) else None
        usual = STALLED_RETRY_SECONDS if isinstance(error, StalledError) else RETRY_SECONDS
        with self._changed:
            self._not_before = self._monotonic() + (asked or usual)
            self._fetch_due = self._due = True

    def _note_problem(self, error: PreviewsError | None) -> None:
        if not self._branch.note_problem(error):
            return
        if error:
            _log.warning("not written", reason=error.reason, message=error.message)
        self._on_written(self._wanted.waiting())

    def _write(self) -> None:
        with self._changed:
            fetch, self._fetch_due = self._fetch_due, False
        self._read(again=fetch)
        rejected = 0
        while rejected < PUSH_ATTEMPTS_MAX:
            batch = self._wanted.next_batch()
            if not batch.changes:
                self._wanted.forget_shards()
                self._on_written(self._wanted.settle())
                return
            if self._waited_for_budget():
                continue
            try:
                self._push(batch)
            except PushRejectedError:
                rejected += 1
                self._branch.reaches(self._repository.fetch())
            else:
                # More may be due already, and always is under steady change: Argo CD hears of this much first.
                self._on_written(self._wanted.settle())
                with self._changed:
                    self._due = True
                return
        raise TransientError(
            "GitContended",
            f"the branch moved on {PUSH_ATTEMPTS_MAX} times while previews were written",
        )

    def _read(self, *, again: bool) -> None:
        is_first = not self._branch.is_read()
        if is_first or again:
            self._branch.reaches(self._repository.fetch())
        if is_first:
            # A crash after the last push may have lost its refresh.
            self._roots.shards_changed(self._branch.tip().roots())

    def _waited_for_budget(self) -> bool:
        """Whether the push had to wait: then more may have become due, and goes with it."""
        with self._changed:
            wait = self._next_push_at - self._monotonic()
            if wait > 0 and not self._stopping:
                self._changed.wait_for(lambda: self._stopping, timeout=wait)
                return True
        self._next_push_at = self._monotonic() + self._seconds_between_pushes
        return False

    def _push(self, batch: Batch) -> None:
        base = self._branch.tip().tree
        # Before the push: its answer may be lost although the server took it.
        self._roots.shards_changed({shard_of(key) for key in batch.previews})
        if any(path.startswith(f"{ROOTS_FOLDER}/") for path in batch.changes):
            self._roots.list_changed()
        if batch.restored:
            _log.warning(
                "restored",
                previews=[str(key) for key in batch.restored[:20]],
                count=len(batch.restored),
            )
        message = commit_message(self._instance, batch.for_message())
        summary = message.partition("\n")[0]
        before = {key: frozenset(self._branch.files_in_git(key)) for key in batch.previews}
        tree = self._effects.perform(
            Effect.PUSH, summary, lambda: self._repository.push(base, batch.changes, message)
        )
        self._branch.reaches(tree)
        self._branch.was_changed(before)

    def _refresh_or_again(self) -> None:
        """What keeps Argo CD from being told is no trouble of Git: the cluster's own watch shows it."""
        try:
            self._roots.refresh()
        except PreviewsError as error:
            _log.warning("not refreshed", reason=error.reason, message=error.message)
            with self._changed:
                self._not_before = self._monotonic() + RETRY_SECONDS
                self._due = True

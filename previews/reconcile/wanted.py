"""What should be in Git, and what a commit must change for that.

It knows the blob ids of the files that each preview should have, and compares them with our folder at the branch's tip.
What is in Git but was not decided by this process is left alone: a store that was lost, or restored from yesterday,
overwrites nothing.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from previews.domain.commit_message import Change
from previews.domain.naming import folder_of, shard_of
from previews.domain.ports import Store
from previews.domain.preview import Manifests, PreviewKey
from previews.errors import StalledError
from previews.reconcile.branch import GitBranch


@dataclass(frozen=True, slots=True)
class Submission:
    """Files that a preview is to have, and who is behind them."""

    manifests: Manifests
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one commit brings."""

    previews: Mapping[PreviewKey, Submission | None]
    """Whose folder is not as wanted. None: nothing says any more what should be in it."""
    restored: Sequence[PreviewKey]
    """Those that were as wanted before: a commit of somebody else changed them, or the branch was set back."""
    changes: Mapping[str, str | None]
    """The text of each file, by its path; None: it goes."""

    def for_message(self) -> list[Change]:
        """What the commit's message says of each preview. Raises StalledError if nothing says what is wanted."""
        return [_change(key, submission) for key, submission in self.previews.items()]


class WantedFiles:
    """Safe from any thread, but for `next_batch` and `settle`, which are the writer's own."""

    def __init__(
        self,
        branch: GitBranch,
        store: Store,
        render_shard: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._branch = branch
        self._store = store
        # A shard's files are the same for ever.
        self._render_shard = lru_cache(maxsize=None)(render_shard)
        self._lock = threading.Lock()
        self._wanted: dict[PreviewKey, Mapping[str, str]] = {}
        """Blob ids, by name."""
        self._submitted: dict[PreviewKey, Submission] = {}
        """Texts, until they are in Git."""
        self._dropped: set[str] = set()
        """Shards that nobody needs any more."""

    def submit(self, key: PreviewKey, manifests: Manifests, actor: str) -> None:
        """Want these files for a preview."""
        blob_ids = self._branch.blob_ids(manifests)
        with self._lock:
            self._wanted[key] = blob_ids
            self._submitted[key] = Submission(manifests, actor)

    def drop_shards(self, shards: Iterable[str]) -> None:
        """Want no files for these shards, unless a preview has, or is to have, files in them."""
        with self._lock:
            self._dropped.update(shards)

    def waiting(self) -> list[PreviewKey]:
        """The previews whose files are not known to be in Git yet."""
        with self._lock:
            return list(self._submitted)

    def next_batch(self) -> Batch:
        """The previews whose folder is not as wanted, and every change of a file that mends it.

        Files that came back for a preview that should have none are not taken away here: they are removed in stages,
        as any preview (`settle` reports them).
        """
        with self._lock:
            submitted = dict(self._submitted)
            wanted = {
                key: files for key, files in self._wanted.items() if files or key in submitted
            }
        keys = [key for key, files in wanted.items() if self._branch.files_in_git(key) != files]
        self._branch.sends(
            {key: submitted[key].manifests.files for key in keys if key in submitted}
        )
        previews = {key: submitted.get(key) or self._recall(key) for key in keys}
        changes: dict[str, str | None] = {}
        for key, submission in previews.items():
            changes |= self._preview_changes(key, submission)
        needed = {shard_of(key) for key, files in wanted.items() if files}
        for shard in sorted(needed):
            changes |= self._shard_changes(shard)
        return Batch(
            previews=previews,
            restored=[key for key in keys if key not in submitted],
            changes=changes | self._dropped_shards(needed),
        )

    def _recall(self, key: PreviewKey) -> Submission | None:
        """What was submitted once: after a push only the store has it."""
        record = self._store.load(key)
        if record is None or record.manifests is None:
            return None
        return Submission(
            record.manifests, record.pull_request.author if record.pull_request else ""
        )

    def _preview_changes(
        self, key: PreviewKey, submission: Submission | None
    ) -> dict[str, str | None]:
        folder, texts = folder_of(key), submission.manifests.files if submission else {}
        gone = (name for name in self._branch.files_in_git(key) if name not in texts)
        return {f"{folder}/{name}": None for name in gone} | {
            f"{folder}/{name}": text for name, text in texts.items()
        }

    def _shard_changes(self, shard: str) -> dict[str, str | None]:
        blobs = self._branch.tip().tree.blobs
        return {
            path: text
            for path, text in self._render_shard(shard).items()
            if blobs.get(path) != self._branch.blob_id(text)
        }

    def _dropped_shards(self, needed: set[str]) -> dict[str, str | None]:
        in_use = {shard_of(key) for key in self._branch.keys_in_git()}
        with self._lock:
            dropped = self._dropped - needed - in_use
        blobs = self._branch.tip().tree.blobs
        paths = (path for shard in sorted(dropped) for path in self._render_shard(shard))
        return {path: None for path in paths if path in blobs}

    def forget_shards(self) -> None:
        """No shard is left that was to be dropped and may be."""
        with self._lock:
            self._dropped.clear()

    def settle(self) -> list[PreviewKey]:
        """Forget the texts that are in Git. Says whose they were, and whose files came back that should be gone."""
        with self._lock:
            tip = self._branch.tip()
            written = [key for key in self._submitted if tip.files(key) == self._wanted[key]]
            for key in written:
                del self._submitted[key]
            came_back = [key for key, files in self._wanted.items() if not files and tip.files(key)]
        return [*written, *came_back]


def _change(key: PreviewKey, submission: Submission | None) -> Change:
    if submission is None:
        raise StalledError("InternalError", f"{key} is to be written, but nothing says what")
    manifests = submission.manifests
    return Change(key, manifests.stage, manifests.head_sha, submission.actor)

"""The GitOps writer as the collector knows it, without Git."""

from collections.abc import Callable, Iterable

from previews.domain.naming import root_name, shard_of
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError


class FakeBranch:
    def __init__(self, *, instance: str = "acme") -> None:
        self.keys: set[PreviewKey] = set()
        self.shards: set[str] = set()
        self.in_use: set[PreviewKey] = set()
        """Those whose files are in a commit that Argo CD works from."""
        self.unread: PreviewsError | None = None
        """Before the first fetch."""
        self.behind: PreviewsError | None = None
        """After a fetch that failed: what was read before is still told."""
        self.dropped: list[str] = []
        self.on_fetch: Callable[[], None] = lambda: None
        self._instance = instance

    def keys_in_git(self) -> set[PreviewKey]:
        return set(self.keys)

    def shards_in_git(self) -> set[str]:
        if self.unread:
            raise self.unread
        return set(self.shards)

    def files_in_use(self, key: PreviewKey, commits: Iterable[str]) -> frozenset[str]:
        return frozenset({"namespace.yaml"} if key in self.in_use and set(commits) else ())

    def root_of(self, key: PreviewKey) -> str:
        return root_name(self._instance, shard_of(key))

    def request_fetch(self) -> None:
        self.on_fetch()

    def problem(self) -> PreviewsError | None:
        return self.behind

    def drop_shards(self, shards: Iterable[str]) -> None:
        for shard in shards:
            if shard not in {shard_of(key) for key in self.keys}:
                self.dropped.append(shard)
                self.shards.discard(shard)

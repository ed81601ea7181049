"""Follows a cluster as the manager does, and waits for what its watch tells."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from previews.domain.ports import Cluster
from previews.domain.preview import PreviewKey

PATIENCE_SECONDS = 60.0
"""How long is waited for what must come. Not a limit on how fast it has to be."""


class Watching:
    """Who was called for, in order."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._changes: queue.Queue[PreviewKey] = queue.Queue()

    def on_change(self, key: PreviewKey) -> None:
        self._changes.put(key)

    def until(self, check: Callable[[Cluster], object]) -> list[PreviewKey]:
        """Wait for changes until this is so, looking only when there was one. Returns whom they were about."""
        changed: list[PreviewKey] = []
        while True:
            changed.append(self._changes.get(timeout=PATIENCE_SECONDS))
            if check(self._cluster):
                return changed

    def is_quiet(self) -> bool:
        return self._changes.empty()


@contextmanager
def watching(cluster: Cluster) -> Iterator[Watching]:
    """Watch until the block ends; then the watch has to end as well."""
    watch, stop = Watching(cluster), threading.Event()
    thread = threading.Thread(target=cluster.watch, args=(watch.on_change, stop))
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()

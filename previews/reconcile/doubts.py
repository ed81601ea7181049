"""What another hand may have changed of what we said: in mind until it is noted as unsure, target by target.

It is noted so before anything is written to the forge. A doubt that comes after that is another one.
"""

import threading
from collections.abc import Collection

from previews.domain.ports import Store
from previews.reconcile.effects import Effects
from previews.reconcile.published import Doubt, Published, PullRequestKey


class Doubts:
    """Of all pull requests. Safe from any thread."""

    def __init__(self, store: Store, effects: Effects) -> None:
        self._store = store
        self._effects = effects
        self._lock = threading.Lock()
        self._in_mind: dict[PullRequestKey, set[Doubt]] = {}

    def add(self, pull_request: PullRequestKey, what: Doubt) -> None:
        with self._lock:
            self._in_mind.setdefault(pull_request, set()).add(what)

    def keep(self, pull_request: PullRequestKey) -> None:
        """Have the next process know what nobody has noted yet, since no delivery will tell it once more."""
        waiting = self._of(pull_request)
        if waiting:
            published = Published(self._store, self._effects, pull_request)
            for what in sorted(waiting):
                published.doubt(what)

    def of(self, pull_request: PullRequestKey, published: Published) -> frozenset[Doubt]:
        """Those in mind, and those that were kept."""
        return self._of(pull_request) | published.doubts()

    def settle(
        self, pull_request: PullRequestKey, published: Published, noted: Collection[Doubt]
    ) -> None:
        """These have been noted as unsure, and nothing was written to the forge since."""
        for what in sorted(noted):
            published.settle(what)
        with self._lock:
            left = self._in_mind.pop(pull_request, set()).difference(noted)
            if left:
                self._in_mind[pull_request] = left

    def _of(self, pull_request: PullRequestKey) -> frozenset[Doubt]:
        with self._lock:
            return frozenset(self._in_mind.get(pull_request, ()))

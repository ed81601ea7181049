"""What waits to be looked at. Whoever learns of something only puts its key here.

Safe from any thread; a key is never queued twice.
"""

import random
from collections.abc import Callable, Iterable

from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.reconcile.patience import Patience
from previews.reconcile.published import PullRequestKey
from previews.reconcile.queue import WorkQueue
from previews.reconcile.repository_rules import Place


class Queues:
    """One for each kind of thing that is looked at by itself."""

    def __init__(
        self,
        patience: Patience,
        *,
        monotonic: Callable[[], float],
        jitter: random.Random | None = None,
    ) -> None:
        self._patience = patience
        self.previews: WorkQueue[PreviewKey] = WorkQueue(monotonic=monotonic, jitter=jitter)
        self.pull_requests: WorkQueue[PullRequestKey] = WorkQueue(
            monotonic=monotonic, jitter=jitter
        )
        """What they say of their previews is to be brought up to date."""
        self.conversations: WorkQueue[PullRequestKey] = WorkQueue(
            monotonic=monotonic, jitter=jitter
        )
        """Their comments are to be read."""
        self.rules: WorkQueue[Place] = WorkQueue(monotonic=monotonic, jitter=jitter)
        """Branches that were pushed to."""

    def enqueue(self, keys: Iterable[PreviewKey]) -> None:
        """Have previews looked at."""
        for key in keys:
            self.previews.add(key)

    def look_again(self, key: PreviewKey, after_seconds: float) -> None:
        """Have a preview looked at in so long."""
        self.previews.add(key, after_seconds=after_seconds)

    def tell(self, record: PreviewRecord) -> None:
        """Have what its pull request says brought up to date."""
        if record.pull_request:
            pull_request = (record.pull_request.repository, record.key.number)
            self.pull_requests.add(pull_request, after_seconds=self._patience.changed(record))

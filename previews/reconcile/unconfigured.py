"""Looks after previews whose project was taken out of the configuration: each stays until somebody says it may go."""

from dataclasses import replace

from previews.domain.lifetime import EndCause
from previews.domain.ports import Clock
from previews.domain.preview import Phase
from previews.domain.record import PreviewRecord
from previews.domain.removal import drained
from previews.reconcile.brake import Brake
from previews.reconcile.lifetimes import Lifetimes
from previews.reconcile.recorder import Recorder
from previews.reconcile.removal_by_hand import RemovalByHand


class Unconfigured:
    """Called by several threads, for one preview by one of them at a time."""

    def __init__(
        self,
        *,
        lifetimes: Lifetimes,
        brake: Brake,
        recorder: Recorder,
        removal: RemovalByHand,
        clock: Clock,
    ) -> None:
        self._lifetimes = lifetimes
        self._brake = brake
        self._recorder = recorder
        self._removal = removal
        self._clock = clock

    def reconcile(self, stored: PreviewRecord) -> None:
        """Look at one preview, and remove it if somebody asked for that."""
        record = self._lifetimes.adopt(stored, None)
        # Of one that nobody remembers, and that Git does not have, whatever is asked for from now on counts.
        record = replace(record, head_since=record.head_since or self._clock.now())
        end = self._lifetimes.end(record)
        self._brake.goes_by_hand(record.key)
        if end is not None and end.cause is EndCause.REMOVED:
            self._removal.carry_out(None, stored, record, drained(end.by))
        elif not record.is_gone:
            self._recorder.record(stored, _staying(record))
        self._lifetimes.confirm(record.key)


def _staying(record: PreviewRecord) -> PreviewRecord:
    project = record.key.project
    return replace(
        record,
        phase=Phase.BLOCKED,
        reason="ProjectNotConfigured",
        message=f"project {project} is not configured; `previews drain {project}` removes its previews",
        failed=True,
    )

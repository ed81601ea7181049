"""Looks after previews whose project was taken out of the configuration: each stays until somebody says it may go."""

from collections.abc import Callable
from dataclasses import replace

from previews.domain.lifetime import EndCause, Wishes
from previews.domain.naming import names_of
from previews.domain.plan import plan_removal
from previews.domain.ports import Clock, Store
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure, drained
from previews.reconcile.belongings import Belongings
from previews.reconcile.brake import Brake
from previews.reconcile.conclusions import note
from previews.reconcile.desired import Desired
from previews.reconcile.lifetimes import Lifetimes
from previews.reconcile.nudges import Nudges
from previews.reconcile.observer import Observer
from previews.reconcile.recorder import Recorder

_PASSES_MAX = 5
"""Each pass sees what the one before took away."""


class Unconfigured:
    """Called by several threads, for one preview by one of them at a time."""

    def __init__(
        self,
        *,
        observer: Observer,
        belongings: Belongings,
        desired: Desired,
        nudges: Nudges,
        lifetimes: Lifetimes,
        brake: Brake,
        recorder: Recorder,
        store: Store,
        clock: Clock,
        look_again: Callable[[PreviewKey, float], None],
    ) -> None:
        self._observer = observer
        self._belongings = belongings
        self._desired = desired
        self._nudges = nudges
        self._lifetimes = lifetimes
        self._brake = brake
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._look_again = look_again

    def reconcile(self, stored: PreviewRecord) -> None:
        """Look at one preview, and remove it if somebody asked for that."""
        record = self._lifetimes.adopt(stored, None)
        end = self._lifetimes.end(record)
        self._brake.goes_by_hand(record.key)
        if end is not None and end.cause is EndCause.REMOVED:
            self._remove(stored, record, drained(end.by))
        elif not record.is_gone:
            self._recorder.record(stored, _staying(record))
        self._lifetimes.confirm(record.key)

    def _remove(self, stored: PreviewRecord, record: PreviewRecord, leaving: Departure) -> None:
        names = names_of(record.key, host_pattern="")
        for _ in range(_PASSES_MAX):
            seen = self._observer.traces(names, record, goes=True)
            seen = self._belongings.observe(None, record, Wishes(), seen, goes=True)
            decision = plan_removal(leaving, seen)
            before = record = note(record, leaving, seen, names, decision, self._clock.now())
            if decision.stage is not None:
                record = self._desired.want_less(record, decision.stage)
            record = self._belongings.work(None, record, Wishes(), seen, decision)
            outside = self._belongings.work_outside(None, record, seen, decision)
            self._nudges.carry_out(seen, decision)
            if record == before and not outside:
                break
        if record.is_gone and not stored.is_gone:
            said = self._belongings.deployments.end(record, self._store.each_record())
            record = replace(record, message="; ".join(filter(None, (record.message, said))))
        self._recorder.record(stored, record)
        if decision.look_again_after_seconds is not None:
            self._look_again(record.key, decision.look_again_after_seconds)


def _staying(record: PreviewRecord) -> PreviewRecord:
    project = record.key.project
    return replace(
        record,
        phase=Phase.BLOCKED,
        reason="ProjectNotConfigured",
        message=f"project {project} is not configured; `previews drain {project}` removes its previews",
        failed=True,
    )

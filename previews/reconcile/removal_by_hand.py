"""Takes a preview away because a person said so, where no pull request can be asked what it is to be."""

from collections.abc import Callable
from dataclasses import replace

from previews.domain.lifetime import Wishes
from previews.domain.naming import names_of
from previews.domain.observation import Observation
from previews.domain.plan import plan_removal
from previews.domain.ports import Clock, Store
from previews.domain.preview import PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.removal import Departure
from previews.reconcile.belongings import Belongings
from previews.reconcile.conclusions import note
from previews.reconcile.desired import Desired
from previews.reconcile.nudges import Nudges
from previews.reconcile.observer import Observer
from previews.reconcile.recorder import Recorder

_PASSES_MAX = 5
"""Each pass sees what the one before took away."""


class RemovalByHand:
    """Called by several threads, for one preview by one of them at a time."""

    def __init__(
        self,
        *,
        observer: Observer,
        belongings: Belongings,
        desired: Desired,
        nudges: Nudges,
        recorder: Recorder,
        store: Store,
        clock: Clock,
        look_again: Callable[[PreviewKey, float], None],
    ) -> None:
        self._observer = observer
        self._belongings = belongings
        self._desired = desired
        self._nudges = nudges
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._look_again = look_again

    def carry_out(
        self,
        project: Project | None,
        stored: PreviewRecord,
        record: PreviewRecord,
        leaving: Departure,
    ) -> Observation:
        """Go as far as it goes now, and keep that. Comes back with what was seen last.

        Where there is no project, it is not configured any more.
        """
        number = record.key.number
        names = project.names(number) if project else names_of(record.key, host_pattern="")
        for _ in range(_PASSES_MAX):
            seen = self._observer.traces(names, record, goes=True)
            seen = self._belongings.observe(project, record, Wishes(), seen, goes=True)
            decision = plan_removal(leaving, seen)
            before = record = note(record, leaving, seen, names, decision, self._clock.now())
            if decision.stage is not None:
                record = self._desired.want_less(record, decision.stage)
            record = self._belongings.work(project, record, Wishes(), seen, decision)
            outside = self._belongings.work_outside(project, record, seen, decision)
            self._nudges.carry_out(seen, decision)
            if record == before and not outside:
                break
        if project is None and record.is_gone and not stored.is_gone:
            said = self._belongings.deployments.end(record, self._store.each_record())
            record = replace(record, message="; ".join(filter(None, (record.message, said))))
        self._recorder.record(stored, record)
        if decision.look_again_after_seconds is not None:
            self._look_again(record.key, decision.look_again_after_seconds)
        return seen

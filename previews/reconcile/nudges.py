"""What Argo CD is asked for about one preview: to look again at what it may have lost, and to end a sync."""

import threading
from datetime import datetime, timedelta
from functools import partial

from previews.domain.observation import NUDGE_AFTER_SECONDS, Observation, Plan
from previews.domain.ports import Clock, Cluster
from previews.reconcile.effects import Effect, Effects


class Nudges:
    """Safe from any thread."""

    def __init__(self, cluster: Cluster, effects: Effects, clock: Clock) -> None:
        self._cluster = cluster
        self._effects = effects
        self._clock = clock
        self._lock = threading.Lock()
        self._nudged: dict[str, datetime] = {}

    def carry_out(self, seen: Observation, decision: Plan) -> None:
        """Do what was decided: a sync first, since Argo CD deletes nothing while it retries."""
        self._end_operation(seen, decision)
        names = [seen.root.name] if decision.refresh_root and seen.root else []
        if decision.refresh and seen.application is not None:
            names.append(seen.application.name)
        for name in names:
            if self._is_time(name):
                self._effects.perform(
                    Effect.REFRESH_APPLICATION,
                    name,
                    partial(self._cluster.refresh_application, name),
                )

    def _end_operation(self, seen: Observation, decision: Plan) -> None:
        application = seen.application
        if decision.end_operation and application is not None:
            self._effects.perform(
                Effect.END_OPERATION,
                application.name,
                lambda: self._cluster.end_operation(application),
            )

    def _is_time(self, name: str) -> bool:
        """A root has many previews that wait for it."""
        now = self._clock.now()
        with self._lock:
            last = self._nudged.get(name)
            if last is not None and last <= now < last + timedelta(seconds=NUDGE_AFTER_SECONDS):
                return False
            self._nudged[name] = now
            return True

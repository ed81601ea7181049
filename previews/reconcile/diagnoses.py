"""Finds out why a preview's workload does not come up, gently: seldom, and without saying the same thing twice.

What is found never fails a reconcile, and is kept in memory only: the next process looks again.
"""

import re
import threading
from dataclasses import dataclass
from datetime import datetime

from previews.domain.diagnosis import Cause, diagnose
from previews.domain.naming import Names
from previews.domain.observation import Observation
from previews.domain.ports import Clock, Cluster
from previews.domain.preview import Application, Mode, PreviewKey, Stage
from previews.errors import PreviewsError

LOOK_AGAIN_AFTER_SECONDS = 2.0
"""However often a preview is reconciled, its pods are read no more often."""
BELIEVED_SECONDS = 30.0
"""A program that crashes runs in between: for so long what was final stays so although it cannot be seen."""

_NUMBERED = re.compile(r"\w*\d\w*")
"""Times, process ids and addresses: what differs from one crash to the next although it is the same."""


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    digest: str
    """Of the manifests that it is about."""
    at: datetime
    cause: Cause | None
    seen_at: datetime
    """When the cause was last there to be seen."""


class Diagnoses:
    """The causes that were found last. Safe from any thread."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[PreviewKey, _Diagnosis] = {}

    def cause_of(self, names: Names, seen: Observation) -> Cause | None:
        """Why the workload of these manifests does not come up; None while it does, or nothing can be said."""
        digest = _is_to_be_looked_at(seen)
        with self._lock:
            if not digest:
                self._known.pop(seen.key, None)
                return None
            known = self._known.get(seen.key)
        if known is not None and known.digest != digest:
            known = None
        now = self._clock.now()
        if known is not None and 0 <= _seconds(known.at, now) < LOOK_AGAIN_AFTER_SECONDS:
            return known.cause
        diagnosis = _Diagnosis(digest, now, *self._look(names, seen, known, now))
        with self._lock:
            self._known[seen.key] = diagnosis
        return diagnosis.cause

    def _look(
        self, names: Names, seen: Observation, known: _Diagnosis | None, now: datetime
    ) -> tuple[Cause | None, datetime]:
        """The cause, and when it was last there to be seen."""
        before = (known.cause, known.seen_at) if known is not None else (None, now)
        try:
            workload = self._cluster.workload(names.namespace)
        except PreviewsError:
            # That it does not come up is known without it, and perhaps why.
            return before
        under_way = seen.application is not None and not _is_done(seen.application)
        found = diagnose(workload, since=seen.manifests_since, is_under_way=under_way)
        said, seen_at = before
        if said is None or (found is not None and found.is_final and not _is_same(found, said)):
            return found, now
        if found is not None and _is_same(found, said):
            return said, now
        if said.is_final and 0 <= _seconds(seen_at, now) < BELIEVED_SECONDS:
            return before
        return found, now


def _is_to_be_looked_at(seen: Observation) -> str:
    """The digest of what should come up and does not; empty otherwise."""
    application, manifests, namespace = seen.application, seen.manifests, seen.namespace
    if application is None or manifests is None or namespace is None:
        return ""
    if application.owner != seen.key or namespace.owner != seen.key:
        return ""
    if application.digest != manifests.digest or manifests.stage is not Stage.WHOLE:
        return ""
    if manifests.mode is Mode.ASLEEP or seen.sleep is not None or application.deleting:
        return ""
    is_well = application.health == "Healthy" and _is_done(application)
    return "" if is_well else manifests.digest


def _is_done(application: Application) -> bool:
    """Whether Argo CD has finished with the sources that the spec has now."""
    return application.proven_for_spec and application.operation_phase == "Succeeded"


def _is_same(cause: Cause, other: Cause) -> bool:
    """Whether both say the same, but for numbers."""
    return _gist(cause) == _gist(other)


def _gist(cause: Cause) -> tuple[str, bool, str]:
    return cause.reason, cause.is_final, _NUMBERED.sub("", cause.message)


def _seconds(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds()

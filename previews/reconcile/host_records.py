"""Gives each preview's host its record, where a zone has no wildcard, and takes the record away again.

It is read once in each process and after each change of ours, and now and then again: what others change there is
seen by then.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from previews.domain.inventory import OwnedObject
from previews.domain.observation import Observation, Plan
from previews.domain.preview import PreviewKey, Stage
from previews.domain.project import Project
from previews.domain.removal import is_left_inside
from previews.domain.resource_ports import HostRecords
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.troubles import Troubles

READ_AGAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a preview's hosts, and when."""

    hosts: tuple[str, ...]
    is_there: bool
    at: float


class HostRecordKeeper:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(
        self,
        records: HostRecords | None,
        effects: Effects,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`records`: None where hosts need no records of their own."""
        self._records = records
        self._effects = effects
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[PreviewKey, _Known] = {}
        self._troubles = Troubles("previews.dns")

    def observe(self, project: Project | None, seen: Observation, *, goes: bool) -> Observation:
        """Add what there is of its records to what was seen. `goes`: an absence is to be proven.

        Raises PreviewsError when that cannot be proven. It is asked for when all the rest is gone: a name server that
        is away keeps nothing else from going.
        """
        if self._records is None:
            return seen
        goes = goes or (seen.manifests is not None and seen.manifests.stage is not Stage.WHOLE)
        has_record = None
        if goes:
            if not is_left_inside(seen):
                has_record = self._is_left(self._records, project, seen.key)
        elif project is not None and seen.application is not None:
            # Before there is anything to be found at its host, nobody asks for it.
            has_record = self._is_known(self._records, project, seen.key)
        trouble = self._troubles.of(seen.key)
        return replace(seen, needs_record=True, has_record=has_record, record_trouble=trouble)

    def work(self, project: Project | None, seen: Observation, decision: Plan) -> bool:
        """Make its records, or remove them, as was decided. Says whether there is more to observe now."""
        records = self._records
        if records is None or not (decision.bring_record or decision.drop_record):
            return False
        key = seen.key
        try:
            for host in self._all_hosts(records, project, key):
                if decision.bring_record:
                    self._effects.perform(
                        Effect.ENSURE_RECORD, key, partial(records.ensure, key, host)
                    )
                elif records.is_left(key, host):
                    # Somebody else's at one of its hosts does not keep ours at the others.
                    self._remove(records, key, host)
        except PreviewsError as error:
            self._troubles.note(key, error)
            return False
        else:
            self._troubles.forget(key)
            return True
        finally:
            # We changed it, or do not know whether we did.
            with self._lock:
                self._known.pop(key, None)

    def owned_objects(self) -> list[OwnedObject]:
        """Every record of ours, read now. Raises PreviewsError unless all of them can be read."""
        return self._records.list_records() if self._records else []

    def remove_object(self, found: OwnedObject) -> bool:
        """Remove this record with its mark; False if it is not there, or not that preview's any more."""
        records, key = self._records, found.owner
        if records is None or key is None:
            return False
        if not records.is_left(key, found.name):
            return False
        self._remove(records, key, found.name)
        with self._lock:
            self._known.pop(key, None)
        return True

    def _remove(self, records: HostRecords, key: PreviewKey, host: str) -> None:
        self._effects.perform(Effect.REMOVE_RECORD, key, partial(records.remove, key, host))

    def _all_hosts(
        self, records: HostRecords, project: Project | None, key: PreviewKey
    ) -> Sequence[str]:
        """Of a project that is not configured any more the zone alone knows the hosts."""
        if project is not None:
            return project.names(key.number).hosts
        return [each.name for each in records.list_records() if each.owner == key]

    def _is_left(self, records: HostRecords, project: Project | None, key: PreviewKey) -> bool:
        """Whether any record of it is there, as it should be or not, read now."""
        hosts = self._all_hosts(records, project, key)
        return any(records.is_left(key, host) for host in hosts)

    def _is_known(self, records: HostRecords, project: Project, key: PreviewKey) -> bool:
        hosts, now = project.names(key.number).hosts, self._monotonic()
        with self._lock:
            known = self._known.get(key)
        is_same = known is not None and known.hosts == hosts
        if known and is_same and now - known.at < READ_AGAIN_SECONDS:
            return known.is_there
        try:
            is_there = all(records.find(key, host) for host in hosts)
        except PreviewsError as error:
            self._troubles.note(key, error)
            # It was well when last looked at: a server that is away takes nothing down.
            is_there = known is not None and is_same and known.is_there
            if not is_there:
                return False
        with self._lock:
            self._known[key] = _Known(hosts, is_there, now)
        if is_there:
            self._troubles.forget(key)
        return is_there

"""What the configuration changes of databases that are there already reaches live previews a few at a time.

Nobody asked for it at any of them, so they take their turns with all that is rewritten for the configuration's sake.
"""

import threading
from dataclasses import replace
from functools import partial

from previews.domain.database import Database, DatabasePolicy
from previews.domain.ports import Clock
from previews.domain.preview import PreviewKey
from previews.domain.record import PreviewRecord
from previews.errors import PreviewsError
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.rollout import Rollout, is_well
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.troubles import Troubles


class DatabaseChanges:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(
        self,
        watch: ServerWatch,
        effects: Effects,
        clock: Clock,
        rollout: Rollout,
        troubles: Troubles,
    ) -> None:
        self._watch = watch
        self._effects = effects
        self._clock = clock
        self._rollout = rollout
        self._troubles = troubles
        self._lock = threading.Lock()
        self._turns: set[PreviewKey] = set()
        """Those whose turn it is, until their record says so."""

    def waits(self, policy: DatabasePolicy, record: PreviewRecord, database: Database) -> bool:
        """Whether its secret goes on coming as it came so far: another way costs a new password and new pods."""
        grant = record.grant
        if grant is None or grant.credential != database.credential or not is_well(record):
            return False
        if (grant.secret_kind, grant.secret_name) == (policy.secret_kind, policy.secret_name):
            return False
        if not self._rollout.may_rewrite(record.key):
            return True
        with self._lock:
            self._turns.add(record.key)
        return False

    def noted(self, record: PreviewRecord) -> PreviewRecord:
        """The record of a preview whose turn came: it keeps its place until it is well."""
        with self._lock:
            is_its_turn = record.key in self._turns
            self._turns.discard(record.key)
        return replace(record, is_rewritten=True) if is_its_turn else record

    def limit(self, policy: DatabasePolicy, record: PreviewRecord) -> PreviewRecord:
        """Give its role the limits that are configured now. What goes wrong is kept as the preview's trouble."""
        key = record.key
        try:
            database = self._watch.known(policy.server, key)
            if database is None or not database.is_ready or database.is_shared:
                return record
            if database.limits == policy.limits:
                return record
            if is_well(record):
                if not self._rollout.may_rewrite(key):
                    return record
                record = replace(record, is_rewritten=True)
            self._give(policy, key, database)
        except PreviewsError as error:
            self._troubles.note(key, error)
        else:
            self._troubles.forget(key)
        return record

    def _give(self, policy: DatabasePolicy, key: PreviewKey, database: Database) -> None:
        server = self._watch.server(policy.server)
        give = partial(
            server.create,
            key,
            policy.template,
            policy.limits,
            incarnation=database.incarnation,
            at=self._clock.now(),
        )
        try:
            self._effects.perform(Effect.CREATE_DATABASE, key, give)
        finally:
            self._watch.forget(policy.server, key)

"""Gives each preview its database and the secret that opens it, and takes both away again.

Nothing is remembered of a password but its id. What is missing is found by comparing: the role says which password it
has, the secret which one it carries.
"""

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

from previews.domain.database import (
    Credential,
    Database,
    DatabasePolicy,
    Provider,
    SecretKind,
)
from previews.domain.lifetime import Wishes
from previews.domain.observation import DATABASE_FILE, Observation, Plan
from previews.domain.ports import Clock
from previews.domain.preview import Grant, PreviewKey, Stage, Trace
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.domain.resource_ports import DatabaseServer
from previews.errors import PreviewsError, TransientError
from previews.reconcile.branch import GitBranch
from previews.reconcile.clone_line import CloneLine
from previews.reconcile.database_changes import DatabaseChanges
from previews.reconcile.delivery import Delivery, traces_of
from previews.reconcile.effects import Effect, Effects
from previews.reconcile.rollout import Rollout
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.troubles import Troubles

_ID_BYTES = 8
_PASSWORD_BYTES = 32


class Databases:
    """Safe from any thread; for one preview it is called by one of them at a time."""

    def __init__(
        self,
        watch: ServerWatch,
        delivery: Delivery,
        *,
        branch: GitBranch,
        effects: Effects,
        clock: Clock,
        rollout: Rollout,
        enqueue: Callable[[Iterable[PreviewKey]], None],
    ) -> None:
        self._watch = watch
        self._delivery = delivery
        self._branch = branch
        self._effects = effects
        self._clock = clock
        self._lock = threading.Lock()
        self._troubles = Troubles("previews.databases")
        self._changes = DatabaseChanges(watch, effects, clock, rollout, self._troubles)
        self._agreed: dict[PreviewKey, Grant] = {}
        self.line = CloneLine(enqueue)

    def observe(
        self,
        project: Project | None,
        record: PreviewRecord,
        wishes: Wishes,
        seen: Observation,
        *,
        goes: bool,
    ) -> Observation:
        """Add what there is of its database to what was seen. `goes`: an absence is to be proven now."""
        policy = project.database if project else None
        goes = goes or (seen.manifests is not None and seen.manifests.stage is not Stage.WHOLE)
        grant = None
        has_image = seen.image is not None or not seen.needs_image
        if project is not None and policy is not None and not goes and has_image:
            has_namespace = seen.namespace is not None
            grant = self._granted(project, policy, record, wishes, has_namespace=has_namespace)
        return replace(
            seen,
            needs_database=policy is not None,
            database_left=self._is_left(policy, record) if goes else None,
            is_server_unknown=goes and bool(self._unknown_servers(record)),
            secret_left=self._is_secret_left(policy, record, seen) if goes else None,
            grant=grant,
            secret_problem=self._delivery.problem(project, seen) if grant else "",
            trouble=self._troubles.of(record.key),
        )

    def work(
        self,
        project: Project | None,
        record: PreviewRecord,
        wishes: Wishes,
        seen: Observation,
        decision: Plan,
    ) -> PreviewRecord:
        """Make it, open it, or drop it, as was decided. The record that comes back has what is granted now."""
        policy = project.database if project else None
        record = self._changes.noted(record)
        record = replace(record, traces=self._traces(policy, record, seen))
        if decision.withdraw_secret:
            record = self._withdraw(policy, record)
        if decision.drop_database:
            record = self._drop(policy, record, seen)
        if seen.grant is not None:
            # Found again in Git, after the store was lost.
            record = _with_grant(record, seen.grant)
            if policy is not None:
                record = self._changes.limit(policy, record)
        if decision.bring_database and project is not None and policy is not None:
            if record.manifests is not None and record.manifests.stage is not Stage.WHOLE:
                # A new life: what is made from now on is not what is still left of the last one.
                return replace(record, manifests=None, grant=None)
            if self._delivery.withdraws(policy.trace) and policy.trace not in record.traces:
                # Kept before anything is put into a store: a manager that dies after that finds it by this alone.
                return replace(record, traces=_joined(record.traces, {policy.trace}))
            has_namespace = seen.namespace is not None
            return self._bring(project, policy, record, wishes, has_namespace=has_namespace)
        self.line.leave(record.key)
        return record

    def _is_left(self, policy: DatabasePolicy | None, record: PreviewRecord) -> bool | None:
        """Whether anything of its database is where one can look, read now; None for one that never had any."""
        found = [self._watch.read(name, record.key) for name in self._servers_of(policy, record)]
        return any(found) if found else None

    def _servers_of(self, policy: DatabasePolicy | None, record: PreviewRecord) -> list[str]:
        """Where its database may be: the configured server may have been another when it was made."""
        own = {policy.trace.server} if policy else set()
        before = {trace.server for trace in traces_of(record)}
        names = own | before | self._watch.where(record.key)
        return sorted(name for name in names if self._watch.is_configured(name))

    def _unknown_servers(self, record: PreviewRecord) -> list[str]:
        """Those where it may have a database, and that are not configured. What was found gone once stays so."""
        removal, manifests = record.removal, record.manifests
        was_proven = removal is not None and removal.finished_at is not None
        if was_proven and manifests is not None and manifests.stage is Stage.NOTHING:
            return []
        names = {trace.server for trace in traces_of(record) if trace.server}
        return sorted(name for name in names if not self._watch.is_configured(name))

    def _is_secret_left(
        self, policy: DatabasePolicy | None, record: PreviewRecord, seen: Observation
    ) -> bool | None:
        """Whether its secret may still lie in a store; None for one that never put any there."""
        if any(map(self._delivery.withdraws, self._traces(policy, record, seen))):
            return True
        return False if any(map(self._delivery.withdraws, traces_of(record))) else None

    def _traces(
        self, policy: DatabasePolicy | None, record: PreviewRecord, seen: Observation
    ) -> tuple[Trace, ...]:
        """Those that are known, and after a lost store what the file in Git tells of."""
        if DATABASE_FILE not in seen.files_in_git:
            return record.traces
        named = {each.trace for each in (policy, record.grant) if each}
        return _joined(record.traces, filter(self._delivery.withdraws, named))

    def _granted(
        self,
        project: Project,
        policy: DatabasePolicy,
        record: PreviewRecord,
        wishes: Wishes,
        *,
        has_namespace: bool,
    ) -> Grant | None:
        """The database and its secret, if both are as they should be now; None while something is to be done."""
        key = record.key
        try:
            return self._agreed_now(project, policy, record, wishes, has_namespace=has_namespace)
        except PreviewsError as error:
            self._troubles.note(key, error)
            # It was well when last looked at, and nobody asked for another: a server that is away takes nothing down.
            grant = record.grant
            return grant if grant and _is_served(grant.since, wishes) else None

    def _agreed_now(
        self,
        project: Project,
        policy: DatabasePolicy,
        record: PreviewRecord,
        wishes: Wishes,
        *,
        has_namespace: bool,
    ) -> Grant | None:
        key = record.key
        database = self._watch.known(policy.server, key)
        if database is None or not _is_as_wished(database, wishes):
            return None
        with self._lock:
            agreed = self._agreed.get(key)
        if agreed and (agreed.incarnation, agreed.credential) == _ids(database):
            return agreed
        if policy.secret_kind is SecretKind.KUBERNETES and not has_namespace:
            # There is nowhere to put it yet. Its id is known all the same: the pods are not rolled out twice.
            planned = record.grant
            return planned if planned and planned.incarnation == database.incarnation else None
        found = self._agreement(project, record, policy, database)
        if found is None and self._changes.waits(policy, record, database):
            return record.grant
        return found

    def _agreement(
        self, project: Project, record: PreviewRecord, policy: DatabasePolicy, database: Database
    ) -> Grant | None:
        """Whether the role and a secret that is under way, or there, are of one password."""
        key = record.key
        if not database.credential or database.credential_at is None:
            return None
        known = record.grant.secret_file if record.grant else ""
        in_git = self._branch.text_in_git(key, DATABASE_FILE, known or None) or ""
        for manifest in dict.fromkeys((known, in_git)):
            said = self._delivery.credential_of(project, policy, key, manifest)
            if said == database.credential:
                grant = replace(
                    _grant(policy, database, database.credential, database.credential_at),
                    secret_file=manifest,
                )
                if policy.secret_kind is not SecretKind.KUBERNETES:
                    # One that we apply may be deleted, with its namespace or alone, and no watch tells of it.
                    with self._lock:
                        self._agreed[key] = grant
                self._troubles.forget(key)
                return grant
        return None

    def _bring(
        self,
        project: Project,
        policy: DatabasePolicy,
        record: PreviewRecord,
        wishes: Wishes,
        *,
        has_namespace: bool,
    ) -> PreviewRecord:
        """Do what is missing. What goes wrong is kept as the preview's trouble."""
        key = record.key
        try:
            database = self._make(policy, key, wishes)
            if database is None:
                return record
            can_tell = has_namespace or policy.secret_kind is not SecretKind.KUBERNETES
            agreed = self._agreement(project, record, policy, database) if can_tell else None
            if agreed is not None and _is_as_wished(database, wishes):
                # What was known of it was older than what is there.
                return _with_grant(record, agreed)
            grant = self._open(project, policy, record, database, has_namespace=has_namespace)
        except PreviewsError as error:
            self._troubles.note(key, error)
            return record
        finally:
            self._forget(policy.server, key)
        return _with_grant(record, grant)

    def _make(self, policy: DatabasePolicy, key: PreviewKey, wishes: Wishes) -> Database | None:
        """The database, ready, and of the incarnation that is asked for; None while it is not its turn."""
        server = self._watch.server(policy.server)
        database = self._watch.read(policy.server, key)
        if database is not None and not _is_new_enough(database, wishes):
            self._effects.perform(Effect.DROP_DATABASE, key, partial(server.drop, key))
            database = None
        if database is None or not database.is_ready:
            with self.line.turn(policy.server, policy.template, key) as is_ours:
                if not is_ours:
                    return None
                self._create(server, policy, key)
            database = self._watch.read(policy.server, key)
        if database is None or not database.is_ready:
            raise TransientError(
                "DatabaseRefused",
                f"the database of {key} was made, and is not there: looking again",
            )
        return database

    def _create(self, server: DatabaseServer, policy: DatabasePolicy, key: PreviewKey) -> None:
        # Whoever is let in must not be able to look around.
        server.check()
        incarnation = secrets.token_hex(_ID_BYTES)
        self._effects.perform(
            Effect.CREATE_DATABASE,
            key,
            lambda: server.create(
                key, policy.template, policy.limits, incarnation=incarnation, at=self._clock.now()
            ),
        )

    def _open(
        self,
        project: Project,
        policy: DatabasePolicy,
        record: PreviewRecord,
        database: Database,
        *,
        has_namespace: bool,
    ) -> Grant:
        """A new password for its role, and the secret that carries it."""
        key = record.key
        name = self._planned(project, policy, record, database, has_namespace=has_namespace)
        name = name or secrets.token_hex(_ID_BYTES)
        grant = _grant(policy, database, name, self._clock.now())
        if policy.secret_kind is SecretKind.KUBERNETES and not has_namespace:
            return grant
        credential = Credential(
            id=name, at=grant.since, password=secrets.token_urlsafe(_PASSWORD_BYTES)
        )
        if record.grant is not None:
            # First: whatever fails here has changed nothing yet.
            self._delivery.leave_other_ways(policy, key, record.grant)
        if policy.provider is Provider.SHARED:
            credential = replace(credential, id=database.credential)
        else:
            self._effects.perform(
                Effect.SET_CREDENTIAL,
                key,
                lambda: self._watch.server(policy.server).set_credential(key, credential),
            )
        login = self._watch.server(policy.server).login(key, credential.password)
        manifest = self._delivery.deliver(project, policy, key, credential.id, login)
        return replace(grant, credential=credential.id, secret_file=manifest)

    def _planned(
        self,
        project: Project,
        policy: DatabasePolicy,
        record: PreviewRecord,
        database: Database,
        *,
        has_namespace: bool,
    ) -> str:
        """The id that the chart was told before there was a namespace; empty once any password had it."""
        grant, key = record.grant, record.key
        if policy.secret_kind is not SecretKind.KUBERNETES or database.credential:
            return ""
        if grant is None or grant.incarnation != database.incarnation:
            return ""
        if has_namespace:
            # A secret that carries it is of a password that the role has no more: it would seem to agree for ever.
            said = self._delivery.credential_of(project, policy, key, "")
            if said == grant.credential:
                return ""
        return grant.credential

    def _withdraw(self, policy: DatabasePolicy | None, record: PreviewRecord) -> PreviewRecord:
        """Take its secret out of its store. What goes wrong is kept as the preview's trouble."""
        try:
            self._delivery.withdraw(policy, record)
        except PreviewsError as error:
            self._troubles.note(record.key, error)
            return record
        self._troubles.forget(record.key)
        return replace(record, traces=_without_secrets(record.traces))

    def _drop(
        self, policy: DatabasePolicy | None, record: PreviewRecord, seen: Observation
    ) -> PreviewRecord:
        """Take database and role away. What goes wrong is kept as the preview's trouble."""
        key, names = record.key, self._servers_of(policy, record)
        unknown = self._unknown_servers(record)
        try:
            if seen.secret_left is None:
                # Perhaps nobody remembers it: the database is what shows that something is left, and goes last.
                self._delivery.withdraw(policy, record)
            for name in names:
                if self._watch.read(name, key) is not None:
                    server = self._watch.server(name)
                    self._effects.perform(Effect.DROP_DATABASE, key, partial(server.drop, key))
            for name in unknown:
                # Says so.
                self._watch.server(name)
        except PreviewsError as error:
            self._troubles.note(key, error)
            return record
        finally:
            for name in names:
                self._forget(name, key)
        self._troubles.forget(key)
        return replace(record, traces=())

    def _forget(self, server: str, key: PreviewKey) -> None:
        """It has to be read again: we changed it, or do not know whether we did."""
        self._watch.forget(server, key)
        with self._lock:
            self._agreed.pop(key, None)


def _with_grant(record: PreviewRecord, grant: Grant) -> PreviewRecord:
    """The record with what is granted now. On another server than before, its former database is still to go."""
    former = record.grant.trace if record.grant else grant.trace
    moves = former.server not in {"", grant.trace.server}
    traces = _joined(record.traces, {former}) if moves else record.traces
    return replace(record, grant=grant, traces=traces)


def _joined(known: Iterable[Trace], more: Iterable[Trace]) -> tuple[Trace, ...]:
    return tuple(sorted({*known, *more}))


def _without_secrets(traces: Iterable[Trace]) -> tuple[Trace, ...]:
    """What is left of them when nothing lies in a store any more."""
    return _joined((), (Trace(each.server, "", "") for each in traces if each.server))


def _is_served(since: datetime, wishes: Wishes) -> bool:
    return all(_not_before(since, said.at) for said in (wishes.reset, wishes.rotation) if said)


def _is_new_enough(database: Database, wishes: Wishes) -> bool:
    return _not_before(database.created_at, wishes.reset.at if wishes.reset else None)


def _is_as_wished(database: Database, wishes: Wishes) -> bool:
    rotation = wishes.rotation.at if wishes.rotation else None
    return (
        database.is_ready
        and _is_new_enough(database, wishes)
        # Without a password there is none to be changed.
        and (not database.credential or _not_before(database.credential_at, rotation))
    )


def _not_before(done: datetime | None, asked: datetime | None) -> bool:
    return asked is None or (done is not None and done >= asked)


def _ids(database: Database) -> tuple[str, str]:
    return database.incarnation, database.credential


def _grant(policy: DatabasePolicy, database: Database, credential: str, since: datetime) -> Grant:
    return Grant(
        server=policy.server,
        incarnation=database.incarnation,
        credential=credential,
        since=since,
        secret_kind=policy.secret_kind.value,
        secret_name=policy.secret_name,
    )

"""PostgreSQL: a database and a login role for each preview, cloned from a golden template.

The instance's role owns every database, so that a preview can neither open its own to others nor change its mark. What
is under way is closed to everybody (ALLOW_CONNECTIONS false), and opens together with its mark, in one transaction.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic as monotonic_clock

from psycopg import errors, sql

from previews.adapters.databases.catalog import (
    Standing,
    all_standing,
    group_exists,
    our_standing,
    owned_databases,
    size_bytes_of,
    standing_of,
    template_build,
)
from previews.adapters.databases.clone import FileCopyMethod, clone_database
from previews.adapters.databases.connections import (
    Connections,
    OnStatement,
    ServerLogin,
    Session,
)
from previews.adapters.databases.examination import examine
from previews.adapters.databases.marks import (
    DatabaseMark,
    RoleMark,
    group_role,
    instance_role,
    write_mark,
)
from previews.adapters.databases.pool import fill, warm_clones
from previews.adapters.databases.removal import drop_database, remove
from previews.domain.database import Credential, Database, DatabaseLimits, Login, Template
from previews.domain.naming import database_name
from previews.domain.preview import HeadSha, PreviewKey
from previews.errors import StalledError, TransientError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where previews' applications reach a server, which may differ from the manager's way."""

    host: str
    port: int


class PostgresServer:
    """`resource_ports.DatabaseServer`. Safe from any thread."""

    def __init__(
        self,
        login: ServerLogin,
        *,
        instance: str,
        address: Address | None = None,
        open_databases: Collection[str] = (),
        file_copy_method: FileCopyMethod = FileCopyMethod.SERVER,
        on_statement: OnStatement | None = None,
        monotonic: Callable[[], float] = monotonic_clock,
    ) -> None:
        """`open_databases` are those that everybody may connect to, previews as well. Does not connect yet."""
        self._instance = instance
        self._owner = instance_role(instance)
        self._address = address or Address(host=login.host, port=login.port)
        self._sslmode = login.sslmode
        self._open_databases = frozenset(open_databases)
        self._file_copy_method = file_copy_method
        self._connections = Connections(
            login,
            application_name=f"previews {instance}",
            on_statement=on_statement,
            monotonic=monotonic,
        )

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self._connections.close()

    def find(self, key: PreviewKey) -> Database | None:
        with self._connections.session() as session:
            found = standing_of(session, key)
        return found.described(self._instance) if found else None

    def list_databases(self) -> list[Database]:
        with self._connections.session() as session:
            found = all_standing(session, self._instance)
        return [standing.described(self._instance) for standing in found]

    def create(
        self,
        key: PreviewKey,
        template: str,
        limits: DatabaseLimits,
        *,
        incarnation: str,
        at: datetime,
    ) -> None:
        with self._connections.session() as session:
            found = our_standing(session, key, self._instance)
            kept = found.data(self._instance) if found else None
            if found and kept:
                if not found.has_role:
                    # What the preview has written stays, whoever removed its role.
                    self._ensure_role(session, key, kept.build.template, found)
                    self._finish(session, kept, limits, found.name)
                elif kept.limits != limits:
                    with session.transaction():
                        self._limit(session, kept, limits)
                return
            owned = owned_databases(session, self._instance)
            build = template_build(owned, template, self._instance)
            self._ensure_role(session, key, template, found)
            if found and found.has_database:
                drop_database(session, found)
            mark = DatabaseMark(key=key, incarnation=incarnation, created_at=at, build=build)
            for clone in warm_clones(owned, build, self._instance):
                if self._claim(session, mark, limits, clone):
                    return
            name = database_name(key)
            clone_database(
                session,
                template,
                name,
                owner=self._owner,
                file_copy_method=self._file_copy_method,
            )
            self._finish(session, mark, limits, name)

    def set_credential(self, key: PreviewKey, credential: Credential) -> None:
        with self._connections.session() as session:
            self._ready(session, key)
            name = database_name(key)
            mark = RoleMark(key=key, credential=credential.id, credential_at=credential.at)
            verifier = session.verifier(credential.password, name)
            with session.transaction():
                session.run(
                    sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(name), sql.Literal(verifier)
                    )
                )
                self._mark_role(session, mark)

    def note_migrated(self, key: PreviewKey, head_sha: HeadSha) -> None:
        with self._connections.session() as session:
            mark = self._ready(session, key)
            if mark.migrated != head_sha:
                self._mark_database(session, replace(mark, migrated=head_sha))

    def drop(self, key: PreviewKey) -> None:
        with self._connections.session() as session:
            found = our_standing(session, key, self._instance)
            if found:
                remove(session, found)

    def login(self, key: PreviewKey, password: str) -> Login:
        name = database_name(key)
        return Login(
            host=self._address.host,
            port=self._address.port,
            database=name,
            user=name,
            password=password,
            sslmode=self._sslmode,
        )

    def size_bytes(self, key: PreviewKey) -> int:
        with self._connections.session() as session:
            return size_bytes_of(session, database_name(key))

    def templates(self) -> list[Template]:
        with self._connections.session() as session:
            owned = owned_databases(session, self._instance)
            users = [database.preview(self._instance) for database in owned]
            return [
                Template(
                    name=build.template,
                    built_at=build.built_at,
                    size_bytes=size_bytes_of(session, build.template),
                    users=users.count(build),
                    warm=len(warm_clones(owned, build, self._instance)),
                )
                for database in owned
                if (build := database.template(self._instance))
            ]

    def fill_pool(self, template: str, wanted: int, *, at: datetime) -> bool:
        with self._connections.session() as session:
            return fill(
                session,
                template,
                wanted,
                at=at,
                instance=self._instance,
                file_copy_method=self._file_copy_method,
            )

    def check(self) -> None:
        with self._connections.session() as session:
            examine(session, self._instance, self._open_databases)

    def _ready(self, session: Session, key: PreviewKey) -> DatabaseMark:
        found = our_standing(session, key, self._instance)
        mark = found.data(self._instance) if found and found.has_role else None
        if not mark:
            raise TransientError(
                "DatabaseRefused", f"The database {database_name(key)} is not finished"
            )
        return mark

    def _ensure_role(
        self, session: Session, key: PreviewKey, template: str, found: Standing | None
    ) -> None:
        if not group_exists(session, template, self._instance):
            raise StalledError(
                "TemplateMissing",
                f"The server has no role {group_role(template)} that owns what is in the template {template}: "
                "build it (previews template build)",
            )
        role = sql.Identifier(database_name(key))
        with session.transaction():
            if not found or not found.has_role:
                # Whoever may act as the instance's role can then alter and drop it, with all that it owns.
                session.run(
                    sql.SQL("CREATE ROLE {} NOLOGIN ADMIN {}").format(
                        role, sql.Identifier(self._owner)
                    )
                )
                self._mark_role(session, RoleMark(key=key))
            session.run(
                sql.SQL("GRANT {} TO {}").format(sql.Identifier(group_role(template)), role)
            )

    def _claim(
        self, session: Session, mark: DatabaseMark, limits: DatabaseLimits, clone: str
    ) -> bool:
        """Whether this warm clone became the preview's. Somebody else may have been faster."""
        try:
            self._finish(session, mark, limits, clone)
        except (errors.InvalidCatalogName, errors.ObjectInUse, errors.LockNotAvailable):
            return False
        return True

    def _finish(
        self, session: Session, mark: DatabaseMark, limits: DatabaseLimits, present_name: str
    ) -> None:
        """Hand a database over to its preview: nobody but its role may enter, and only then may anybody."""
        name = database_name(mark.key)
        database = role = sql.Identifier(name)
        with session.transaction():
            if present_name != name:
                session.run(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(present_name), database
                    )
                )
            session.run(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            session.run(
                sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(
                    database, role
                )
            )
            self._limit(session, mark, limits)
            session.run(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))

    def _limit(self, session: Session, mark: DatabaseMark, limits: DatabaseLimits) -> None:
        """Within a transaction, since the mark says which limits the role has."""
        role = sql.Identifier(database_name(mark.key))
        session.run(
            sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(
                role, sql.Literal(limits.connections)
            )
        )
        for setting, time in _timeouts(limits).items():
            session.run(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    role, sql.Identifier(setting), sql.Literal(time)
                )
            )
        self._mark_database(session, replace(mark, limits=limits))

    def _mark_database(self, session: Session, mark: DatabaseMark) -> None:
        session.run(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                sql.Identifier(database_name(mark.key)),
                sql.Literal(write_mark(mark, self._instance)),
            )
        )

    def _mark_role(self, session: Session, mark: RoleMark) -> None:
        session.run(
            sql.SQL("COMMENT ON ROLE {} IS {}").format(
                sql.Identifier(database_name(mark.key)),
                sql.Literal(write_mark(mark, self._instance)),
            )
        )


def _timeouts(limits: DatabaseLimits) -> dict[str, str]:
    return {
        "statement_timeout": _milliseconds(limits.statement_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle_timeout),
        "idle_session_timeout": _milliseconds(limits.idle_timeout),
    }


def _milliseconds(time: timedelta) -> str:
    return f"{time // timedelta(milliseconds=1)}ms"

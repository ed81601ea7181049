"""The end of a preview's database and role: closed to everybody first, so that no client comes back in between."""

from dataclasses import dataclass

import psycopg
from psycopg import errors, sql

from previews.adapters.databases.catalog import Standing
from previews.adapters.databases.connections import Session
from previews.adapters.databases.refusals import words_of
from previews.adapters.one_line import one_line
from previews.errors import StalledError

_HOLDERS = sql.SQL("""
    SELECT 'prepared transaction ' || quote_literal(gid) AS name
      FROM pg_prepared_xacts WHERE database = %s
    UNION ALL
    SELECT 'replication slot ' || slot_name
      FROM pg_replication_slots WHERE database = %s AND active
    UNION ALL
    SELECT 'subscription ' || subname
      FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = %s)
    ORDER BY name
""")
_NAMES_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    name: str


def remove(session: Session, found: Standing) -> None:
    """Drop what is there of it. Raises StalledError("DatabaseInUse")."""
    name = sql.Identifier(found.name)
    if found.has_database:
        # First of all, since this is what says that the removal has begun, should it not come to its end.
        _close(session, found)
    if found.has_role:
        session.run(sql.SQL("ALTER ROLE {} NOLOGIN CONNECTION LIMIT 0").format(name))
    if found.has_database:
        drop_database(session, found)
    if found.has_role:
        try:
            with session.transaction():
                session.run(sql.SQL("DROP OWNED BY {}").format(name))
                session.run(sql.SQL("DROP ROLE {}").format(name))
        except errors.DependentObjectsStillExist as error:
            raise StalledError(
                "DatabaseInUse",
                f"The role {found.name} owns something outside of its database: {words_of(error)}",
            ) from error


def drop_database(session: Session, found: Standing) -> None:
    """Drop it with every session. Raises StalledError("DatabaseInUse")."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    try:
        session.run(statement.format(sql.Identifier(found.name)))
    except (errors.ObjectInUse, errors.InsufficientPrivilege) as error:
        raise _in_use(session, found.name, error) from error


def _close(session: Session, found: Standing) -> None:
    if found.is_open and not found.is_broken:
        session.run(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(found.name))
        )


def _in_use(session: Session, name: str, error: psycopg.Error) -> StalledError:
    holders = [found.name for found in session.rows(_Holder, _HOLDERS, [name, name, name])]
    held_by = one_line("; ".join(holders), _NAMES_LENGTH_MAX)
    return StalledError(
        "DatabaseInUse",
        f"The database {name} cannot be dropped: {words_of(error)}"
        + (f". End this by hand: {held_by}" if held_by else ""),
    )

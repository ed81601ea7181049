"""Whether a server is fit for previews: the manager has its rights, and nobody else's database is open to previews."""

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from previews.adapters.databases.connections import Session
from previews.adapters.databases.marks import instance_role
from previews.errors import StalledError

_RIGHTS = sql.SQL("""
    SELECT rolname::text AS login,
           rolcreatedb AS may_create_databases,
           rolcreaterole AS may_create_roles,
           pg_has_role(rolname, 'pg_signal_backend', 'USAGE') AS may_end_sessions,
           coalesce((SELECT pg_has_role(owner.oid, 'USAGE') AND pg_has_role(owner.oid, 'MEMBER')
                       FROM pg_roles AS owner WHERE owner.rolname = %s), false) AS may_own
      FROM pg_roles
     WHERE rolname = current_user
""")
_OPEN = sql.SQL("""
    SELECT datname::text AS name
      FROM pg_database
     WHERE datallowconn AND datconnlimit <> -2 AND has_database_privilege('public', oid, 'CONNECT')
     ORDER BY datname
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rights:
    login: str
    may_create_databases: bool
    may_create_roles: bool
    may_end_sessions: bool
    may_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    name: str


def examine(session: Session, instance: str, open_databases: Collection[str]) -> None:
    """Raises StalledError, with the statement to run."""
    [rights] = session.rows(_Rights, _RIGHTS, [instance_role(instance)])
    missing = _missing(rights, instance_role(instance))
    if missing:
        raise StalledError(
            "DatabaseRefused",
            f"The manager's login lacks rights on the server. Run as its administrator: {'; '.join(missing)}",
        )
    found = [database.name for database in session.rows(_Open, _OPEN)]
    open_to_all = [name for name in found if name not in open_databases]
    if open_to_all:
        names = sql.SQL(", ").join(sql.Identifier(name) for name in open_to_all).as_string()
        raise StalledError(
            "DatabaseServerOpen",
            f"Every preview could connect to {', '.join(open_to_all)}. Run as the server's administrator: "
            f"REVOKE CONNECT, TEMPORARY ON DATABASE {names} FROM PUBLIC; "
            "or list under open_databases what is meant to be open to previews",
        )


def _missing(rights: _Rights, owner: str) -> list[str]:
    login = sql.Identifier(rights.login).as_string()
    owned = sql.Identifier(owner).as_string()
    wanted = {
        f"ALTER ROLE {login} CREATEDB": rights.may_create_databases,
        f"ALTER ROLE {login} CREATEROLE": rights.may_create_roles,
        f"GRANT pg_signal_backend TO {login}": rights.may_end_sessions,
        f"CREATE ROLE {owned} NOLOGIN (if it is missing); GRANT {owned} TO {login}": rights.may_own,
    }
    return [statement for statement, is_there in wanted.items() if not is_there]

"""The statements of a template's build. Names come in as identifiers, texts as literals, nothing in any other way."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a question to the server."""

    yes: bool


@dataclass(frozen=True, slots=True)
class Name:
    """Of a role."""

    name: str


@dataclass(frozen=True, slots=True)
class Comment:
    """On a role."""

    comment: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A database that has a template's name."""

    owner: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """A database that a build left behind."""

    name: str
    is_template: bool
    is_open: bool
    comment: str | None


LOCK = sql.SQL("SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS yes")
DATABASE = sql.SQL(
    "SELECT pg_get_userbyid(datdba)::text AS owner, shobj_description(oid, 'pg_database') AS comment"
    " FROM pg_database WHERE datname = %s"
)
ROLE = sql.SQL(
    "SELECT shobj_description(oid, 'pg_authid') AS comment FROM pg_roles WHERE rolname = %s"
)
LEFT = sql.SQL(
    "SELECT datname::text AS name, datistemplate AS is_template, datallowconn AS is_open,"
    " shobj_description(oid, 'pg_database') AS comment FROM pg_database"
    " WHERE pg_get_userbyid(datdba) = %s AND datname ~ %s"
)
LEFT_ROLES = sql.SQL(
    "SELECT rolname::text AS name FROM pg_roles"
    " WHERE rolname ~ %s AND shobj_description(oid, 'pg_authid') = %s"
)
END_SESSIONS = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s")

NO_TEMPLATE = "ALTER DATABASE {} IS_TEMPLATE false"
DROP_DATABASE = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
DROP_ROLE = "DROP ROLE IF EXISTS {}"
NO_LOGIN = "ALTER ROLE {} NOLOGIN"
CLOSE = "ALTER DATABASE {} ALLOW_CONNECTIONS false"
REVOKE_FROM_ITS_ROLE = "REVOKE ALL ON DATABASE {0} FROM {0}"
VACUUM_OWN = "VACUUM (FREEZE, ANALYZE)"


def naming(statement: str, name: str) -> sql.Composed:
    """One of the statements above, about one database or role."""
    return sql.SQL(statement).format(sql.Identifier(name))


def building_mark(template: str, instance: str) -> str:
    """The comment on a database and its role while a template is being built. No mark of anything that is finished."""
    return json.dumps({"previews": 1, "instance": instance, "building": template})


def make_group(group: str, owner: str, comment: str) -> Iterator[sql.Composed]:
    """The role that owns everything in a template. Whoever may act as `owner` can make others members."""
    role = sql.Identifier(group)
    yield sql.SQL("CREATE ROLE {} NOLOGIN ADMIN {}").format(role, sql.Identifier(owner))
    yield sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(comment))


def make_role(
    name: str, group: str, owner: str, verifier: str, comment: str
) -> Iterator[sql.Composed]:
    """The role that fills a template. Whatever it makes belongs to the group, unless it says otherwise."""
    role = sql.Identifier(name)
    yield sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} ADMIN {}").format(
        role, sql.Literal(verifier), sql.Identifier(owner)
    )
    yield sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(comment))
    yield sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role)
    yield sql.SQL("ALTER ROLE {} SET role TO {}").format(role, sql.Literal(group))


def make_database(name: str, owner: str, base: str) -> sql.Composed:
    return sql.SQL(
        "CREATE DATABASE {} OWNER {} TEMPLATE {} ALLOW_CONNECTIONS false IS_TEMPLATE false"
    ).format(sql.Identifier(name), sql.Identifier(owner), sql.Identifier(base))


def open_to(name: str, group: str, comment: str) -> Iterator[sql.Composed]:
    """Close the new database to everybody else, and then open it to the role of its name."""
    database = sql.Identifier(name)
    yield sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
    yield sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(
        database, database
    )
    yield sql.SQL("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}").format(
        database, sql.Identifier(group)
    )
    yield sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(comment))
    yield sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database)


def give_schema(group: str) -> sql.Composed:
    return sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(group))


def hand_over(name: str, group: str) -> sql.Composed:
    """What a build's role says last: everything of its own goes to the group, and its rights go."""
    role = sql.Identifier(name)
    return sql.SQL(
        "SET ROLE NONE; BEGIN; REASSIGN OWNED BY {} TO {}; DROP OWNED BY {}; COMMIT;"
    ).format(role, sql.Identifier(group), role)


def make_template(name: str, group: str, comment: str) -> Iterator[sql.Composed]:
    """Mark a database that is closed as finished."""
    database = sql.Identifier(name)
    yield sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC, {}").format(
        database, sql.Identifier(group)
    )
    yield sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(comment))
    yield sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(database)


def rename(name: str, to: str) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
        sql.Identifier(name), sql.Identifier(to)
    )


def patience(length: timedelta) -> sql.Composed:
    """How long the transaction waits for somebody else's lock."""
    milliseconds = int(length.total_seconds() * 1000)
    return sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(milliseconds))

"""Warm clones: made ahead of time, closed to everybody, and handed over by a new name.

A name changes hands within a transaction, so that no clone is handed to two. One session of the instance at a time
makes and drops them: what it finds unfinished was left behind, and is nobody's work in progress.
"""

import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from previews.adapters.databases.catalog import Owned, owned_databases, template_build
from previews.adapters.databases.clone import FileCopyMethod, clone_database
from previews.adapters.databases.connections import Session
from previews.adapters.databases.marks import (
    POOL_PREFIX,
    Build,
    PoolMark,
    instance_role,
    write_mark,
)

_LOCK = sql.SQL("SELECT pg_try_advisory_lock(%s, %s) AS is_held")
_UNLOCK = sql.SQL("SELECT pg_advisory_unlock(%s, %s) AS is_held")
_LOCK_CLASS = 0x70726576  # "prev"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    is_held: bool


def fill(
    session: Session,
    template: str,
    wanted: int,
    *,
    at: datetime,
    instance: str,
    file_copy_method: FileCopyMethod,
) -> bool:
    """As `resource_ports.DatabaseServer.fill_pool`. Another session at the same work is left to it."""
    with _alone(session, instance) as is_alone:
        if not is_alone:
            return False
        owned = owned_databases(session, instance)
        build = template_build(owned, template, instance) if wanted else None
        ready = [database for database in owned if build and database.warm_clone(instance) == build]
        for database in _superfluous(owned, ready[:wanted], template, instance):
            _drop(session, database.name)
        if not build or len(ready) >= wanted:
            return False
        _make(
            session,
            PoolMark(build=build, created_at=at),
            instance=instance,
            file_copy_method=file_copy_method,
        )
        return True


def warm_clones(owned: list[Owned], build: Build, instance: str) -> list[str]:
    """The names of those that stand ready."""
    return [database.name for database in owned if database.warm_clone(instance) == build]


def _drop(session: Session, name: str) -> None:
    """Drop a database that nobody can be connected to, but for the server's own workers."""
    session.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _superfluous(
    owned: list[Owned], keep: list[Owned], template: str, instance: str
) -> list[Owned]:
    return [
        database
        for database in owned
        if database not in keep
        and (
            database.is_unfinished_clone
            or ((build := database.warm_clone(instance)) and build.template == template)
        )
    ]


def _make(
    session: Session, mark: PoolMark, *, instance: str, file_copy_method: FileCopyMethod
) -> None:
    name = f"{POOL_PREFIX}{secrets.token_hex(4)}"
    clone_database(
        session,
        mark.build.template,
        name,
        owner=instance_role(instance),
        file_copy_method=file_copy_method,
    )
    comment = sql.Literal(write_mark(mark, instance))
    database = sql.Identifier(name)
    with session.transaction():
        session.run(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        session.run(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, comment))


@contextmanager
def _alone(session: Session, instance: str) -> Iterator[bool]:
    """Whether no other session of the instance is at the pool. A session that ends lets go by itself."""
    # Advisory locks have 32 bits of a name, and they are signed.
    lock = [_LOCK_CLASS, zlib.crc32(instance.encode()) - 2**31]
    [held] = session.rows(_Lock, _LOCK, lock)
    yield held.is_held
    if held.is_held:
        session.rows(_Lock, _UNLOCK, lock)

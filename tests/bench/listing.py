"""How long it takes to list what a server has of previews, and what memory that takes, by the number of previews.

Everything is made by the server's own commands. The first previews have a database, the others their role with its
mark alone, which is one row of the same listing.
"""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from previews.adapters.databases import marks
from previews.adapters.databases.connections import ServerLogin
from previews.adapters.databases.postgres import PostgresServer
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from tests.bench.figures import Part
from tests.postgres import Instance

DATABASES = 200
FEW = 1_000
MANY = 10_000
BATCH = 200
PROJECT = "listed"
LISTINGS = 5


def measure_listing(
    instance: Instance, template: str, part: Part, say: Callable[[str], None]
) -> None:
    """Of a thousand previews, and of ten times as many."""
    with _connected(instance) as manager:
        _run_all(manager, _roles(instance, range(1, FEW + 1), f"ADMIN {instance.role}"))
        for number in range(1, DATABASES + 1):
            manager.execute(_database(instance, number, template))
        _run_all(manager, (_mark(instance, number, template) for number in range(1, DATABASES + 1)))
    _measure(instance, FEW, part)
    say(f"{FEW} previews listed; making {MANY}")
    with instance.process.connect() as administrator:
        # The manager's login, which becomes a member of each role through its ADMIN, took minutes for so many.
        _run_all(administrator, _roles(instance, range(FEW + 1, MANY + 1), ""))
    _measure(instance, MANY, part)


def list_cost(login: ServerLogin, instance: str) -> tuple[int, float, float]:
    """How many there are, the longest of several listings in seconds, and the memory that they took, in MiB."""
    server = PostgresServer(login, instance=instance)
    server.find(PreviewKey(PROJECT, 1))
    seconds = []
    before = _kib("VmRSS")
    for _ in range(LISTINGS):
        began = time.perf_counter()
        found = server.list_databases()
        seconds.append(time.perf_counter() - began)
    server.close()
    return len(found), max(seconds), (_kib("VmHWM") - before) / 1024


def _measure(instance: Instance, expected: int, part: Part) -> None:
    # In a process of its own: what it takes is not hidden in what others have given back.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        count, seconds, mib = process.submit(list_cost, instance.login, instance.name).result()
    if count != expected:
        raise RuntimeError(f"{count} of {expected} previews were listed")
    part.set(f"database_list_{count}_seconds", seconds)
    part.set(f"database_list_{count}_mib", mib)


def _connected(instance: Instance) -> psycopg.Connection[tuple[Any, ...]]:
    """As the manager's login."""
    password = instance.password_file.read_text()
    return instance.process.connect(instance.login.user, password)


def _roles(instance: Instance, numbers: Iterable[int], options: str) -> Iterator[sql.Composed]:
    for number in numbers:
        key = PreviewKey(PROJECT, number)
        role = sql.Identifier(database_name(key))
        now = datetime.now(UTC)
        mark = marks.RoleMark(key=key, credential="0123456789abcdef", credential_at=now)
        yield sql.SQL("CREATE ROLE {} LOGIN {}").format(role, sql.SQL(options))
        yield sql.SQL("COMMENT ON ROLE {} IS {}").format(
            role, sql.Literal(marks.write_mark(mark, instance.name))
        )


def _database(instance: Instance, number: int, template: str) -> sql.Composed:
    return sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY wal_log").format(
        sql.Identifier(database_name(PreviewKey(PROJECT, number))),
        sql.Identifier(instance.role),
        sql.Identifier(template),
    )


def _mark(instance: Instance, number: int, template: str) -> sql.Composed:
    key = PreviewKey(PROJECT, number)
    now = datetime.now(UTC)
    build = marks.Build(template=template, built_at=now)
    mark = marks.DatabaseMark(
        key=key, incarnation="0123456789abcdef", created_at=now, build=build, migrated="a" * 40
    )
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(database_name(key)), sql.Literal(marks.write_mark(mark, instance.name))
    )


def _run_all(
    connection: psycopg.Connection[tuple[Any, ...]], statements: Iterator[sql.Composed]
) -> None:
    """In few transactions."""
    while batch := list(itertools.islice(statements, BATCH)):
        connection.execute(sql.SQL("; ").join(batch))


def _kib(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel does not say {name}")

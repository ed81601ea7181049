"""Databases of previews on real servers of PostgreSQL, 18 and 15: no cluster is needed.

Our whole work and the server's bare statement are measured in turns, so that both meet the same load. The servers
write as durably as a server does that keeps somebody's data.
"""

import itertools
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psycopg
import pytest

from previews.adapters.databases.clone import FileCopyMethod
from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import DatabaseLimits
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError
from tests.bench.figures import Part
from tests.bench.listing import measure_listing
from tests.bench.many_databases import measure_at_once
from tests.bench.reflink import missing, reflink_directory
from tests.postgres import Instance, PostgresProcess, instance_on, postgres_server
from tests.postgres.installation import programs_of
from tests.postgres.instance import credential

Say = Callable[[str], None]

NEWEST = 18
BESIDE_IT = 15
TEMPLATE = "bench_golden"
PROJECT = "shop"
SESSIONS = 10
AT_ONCE = 50
LARGE_ROWS = 950_000
LARGE_ROW = "repeat(md5(n::text), 28)"
"""With its head one of eight in a block: 930 MB in all."""
SLOW_SAMPLES = 6
"""Of what takes seconds."""
IMAGE_GIB = 24
NEEDED_GIB = 12

SETTINGS = {
    # As PostgreSQL is delivered; what tests/postgres sets saves a test's time.
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "log_statement": "none",
    "log_min_error_statement": "error",
}


@dataclass(kw_only=True)
class _Bench:
    """One server with a template, and where its figures go."""

    instance: Instance
    part: Part
    place: str
    bare: psycopg.Connection[tuple[object, ...]]
    """The administrator's: it costs no statement to connect."""
    keys: Iterator[PreviewKey] = field(
        default_factory=lambda: (PreviewKey(PROJECT, number) for number in itertools.count(1))
    )

    @contextmanager
    def adapter(self, method: FileCopyMethod = FileCopyMethod.SERVER) -> Iterator[PostgresServer]:
        server = PostgresServer(
            self.instance.login, instance=self.instance.name, file_copy_method=method
        )
        try:
            yield server
        finally:
            server.close()

    def make(self, server: PostgresServer, key: PreviewKey) -> float:
        """Everything until its preview can log in, in seconds; and that it can."""
        password = credential()
        began = time.perf_counter()
        server.create(key, TEMPLATE, DatabaseLimits(), incarnation="bench", at=datetime.now(UTC))
        server.set_credential(key, password)
        seconds = time.perf_counter() - began
        self.instance.connect(key, password).close()
        return seconds

    def statement(self, text: str) -> float:
        """The server alone, in seconds."""
        began = time.perf_counter()
        self.bare.execute(text.encode())
        return time.perf_counter() - began

    def clone(self, strategy: str) -> float:
        """The one statement, in seconds; the clone is dropped again."""
        seconds = self.statement(f"CREATE DATABASE bare TEMPLATE {TEMPLATE} STRATEGY {strategy}")
        self.statement("DROP DATABASE bare")
        return seconds

    def settle(self) -> None:
        """Have all that the measurement before left behind written to disk."""
        self.statement("CHECKPOINT")
        directory = self.instance.process.log.parent
        subprocess.run(["sync", "--file-system", str(directory)], check=True, timeout=60)

    def template_mib(self) -> float:
        [[size]] = self.instance.process.administer(f"SELECT pg_database_size('{TEMPLATE}')")
        return float(size) / 2**20


def measure_databases(part: Part, say: Say, samples: int) -> None:
    """A small template: made, handed over warm, fifty at once, and dropped."""
    for version in (NEWEST, BESIDE_IT):
        with _said_plainly(), ExitStack() as stack:
            process = stack.enter_context(postgres_server(version, **SETTINGS))
            bench = stack.enter_context(_bench(process, part, str(version)))
            bench.instance.make_template(TEMPLATE)
            part.set(f"database_{version}_template_mib", bench.template_mib())
            say(f"PostgreSQL {version}: {samples} made, and as many bare clones")
            _measure_ready(bench, samples)
            say(f"PostgreSQL {version}: {samples} from the warm pool, and as many bare renames")
            _measure_warm(bench, samples)
            say(f"PostgreSQL {version}: {samples} dropped with {SESSIONS} open sessions each")
            _measure_drop(bench, samples)
            say(f"PostgreSQL {version}: {AT_ONCE} pull requests at once")
            with bench.adapter() as server:
                measure_at_once(server, TEMPLATE, AT_ONCE, part, str(version))
            if version == NEWEST:
                say("filling the server with previews to list")
                measure_listing(bench.instance, TEMPLATE, part, say)
                # With all that is on it: nothing of it is dropped one by one.
                process.stop("immediate")


def measure_large_databases(part: Part, say: Say, samples: int) -> None:
    """A large template where files share their blocks."""
    if why := missing(NEEDED_GIB):
        raise RuntimeError(f"there is no file system that shares blocks: {why}")
    with _said_plainly(), ExitStack() as stack:
        directory = stack.enter_context(reflink_directory(IMAGE_GIB))
        settings = SETTINGS | {"max_wal_size": "1GB"}
        process = stack.enter_context(_server_in(directory / "large", settings))
        bench = stack.enter_context(_bench(process, part, "large"))
        say("filling a template with 930 MB")
        bench.instance.make_template(
            TEMPLATE,
            "CREATE TABLE filler AS"
            f" SELECT n, {LARGE_ROW} AS text FROM generate_series(1, {LARGE_ROWS}) AS n",
        )
        part.set("database_large_template_mib", bench.template_mib())
        say(f"{samples} clones of it that share its blocks, and as many bare ones")
        _measure_clone(bench, samples)
        say(f"{SLOW_SAMPLES} times each of its copies")
        _measure_copies(bench)


def _measure_ready(bench: _Bench, samples: int) -> None:
    with bench.adapter() as server:
        for key in itertools.islice(bench.keys, samples):
            _measure_pair(bench, server, key, "ready", "wal_log")
    _set_ratio(bench, "ready", "bare_clone")


def _measure_pair(
    bench: _Bench, server: PostgresServer, key: PreviewKey, ours: str, strategy: str
) -> None:
    """Ours and the bare statement, each of them first every other time, and both on a server that has settled."""
    for is_ours in (True, False) if key.number % 2 else (False, True):
        bench.settle()
        if is_ours:
            bench.part.add("database", f"{bench.place}_{ours}", bench.make(server, key))
            server.drop(key)
        else:
            bench.part.add("database", f"{bench.place}_bare_clone", bench.clone(strategy))


def _measure_warm(bench: _Bench, samples: int) -> None:
    with bench.adapter() as server:
        while server.fill_pool(TEMPLATE, samples, at=datetime.now(UTC)):
            pass
        bench.statement(f"CREATE DATABASE bare_0 TEMPLATE {TEMPLATE}")
        keys = list(itertools.islice(bench.keys, samples))
        for number, key in enumerate(keys):
            rename = f"ALTER DATABASE bare_{number} RENAME TO bare_{number + 1}"
            bench.part.add("database", f"{bench.place}_warm", bench.make(server, key))
            bench.part.add("database", f"{bench.place}_bare_rename", bench.statement(rename))
        bench.statement(f"DROP DATABASE bare_{samples}")
        for key in keys:
            server.drop(key)
    _set_ratio(bench, "warm", "bare_rename")


def _measure_drop(bench: _Bench, samples: int) -> None:
    with bench.adapter() as server:
        for key in itertools.islice(bench.keys, samples):
            password = credential()
            server.create(
                key, TEMPLATE, DatabaseLimits(), incarnation="bench", at=datetime.now(UTC)
            )
            server.set_credential(key, password)
            with ExitStack() as sessions:
                for _ in range(SESSIONS):
                    opened = bench.instance.connect(key, password)
                    sessions.callback(opened.close)
                    opened.execute("BEGIN")
                    opened.execute("CREATE TEMPORARY TABLE work AS SELECT * FROM item")
                began = time.perf_counter()
                server.drop(key)
                seconds = time.perf_counter() - began
            bench.part.add("database", f"{bench.place}_drop", seconds)
            if server.find(key):
                raise RuntimeError(f"the database of {key} is still there")


def _measure_clone(bench: _Bench, samples: int) -> None:
    bench.statement("SET file_copy_method = 'clone'")
    with bench.adapter(FileCopyMethod.CLONE) as server:
        for key in itertools.islice(bench.keys, samples):
            _measure_pair(bench, server, key, "clone", "file_copy")
    _set_ratio(bench, "clone", "bare_clone")


def _measure_copies(bench: _Bench) -> None:
    """What there is without shared blocks. Its first files on new ground take several times longer."""
    bench.statement("SET file_copy_method = 'copy'")
    copies = replace(bench, part=Part())
    with bench.adapter(FileCopyMethod.COPY) as server:
        for key in itertools.islice(bench.keys, SLOW_SAMPLES):
            _measure_pair(copies, server, key, "copy", "file_copy")
    seconds = {
        "copy": copies.part.samples["database_large_copy"],
        "bare_copy": copies.part.samples["database_large_bare_clone"],
        "bare_wal_log": [],
    }
    for _ in range(SLOW_SAMPLES):
        bench.settle()
        seconds["bare_wal_log"].append(bench.clone("wal_log"))
    for name, each in seconds.items():
        bench.part.set(f"database_large_{name}_seconds", median(each))
        bench.part.set(f"database_large_{name}_max_seconds", max(each))


def _set_ratio(bench: _Bench, ours: str, bare: str) -> None:
    """Of the medians: what our work adds to the server's."""
    found = [median(bench.part.samples[f"database_{bench.place}_{each}"]) for each in (ours, bare)]
    bench.part.set(f"database_{bench.place}_{ours}_ratio", found[0] / found[1])


@contextmanager
def _bench(process: PostgresProcess, part: Part, place: str) -> Iterator[_Bench]:
    with instance_on(process) as instance, process.connect() as bare:
        yield _Bench(instance=instance, part=part, place=place, bare=bare)


@contextmanager
def _server_in(directory: Path, settings: dict[str, str]) -> Iterator[PostgresProcess]:
    """The newest server, with its data in this directory. As root, since only root can mount."""
    directory.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    server = PostgresProcess(programs_of(NEWEST, directory), directory, NEWEST)
    server.initialise(settings)
    server.start()
    try:
        yield server
    finally:
        if server.is_running:
            server.stop("immediate")


@contextmanager
def _said_plainly() -> Iterator[None]:
    """A measurement that could not be made says why."""
    try:
        yield
    except pytest.skip.Exception as absent:
        raise RuntimeError(str(absent)) from absent
    except (psycopg.Error, PreviewsError) as error:
        raise RuntimeError(f"the server: {error}") from error

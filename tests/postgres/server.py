"""One PostgreSQL server as a process, and its administrator's connection."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from tests.postgres.installation import programs_of

VERSIONS = (15, 18)
HOST = "127.0.0.1"
_STARTS_WITHIN_SECONDS = "60"

_CONFIGURATION = {
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "max_connections": "60",
    "max_prepared_transactions": "4",
    "wal_level": "logical",
    "max_wal_size": "4GB",
    "shared_buffers": "64MB",
    # The data are for one test run.
    "fsync": "off",
    "full_page_writes": "off",
    # What a server logs of passwords is looked at, so it logs as much as a server does.
    "log_statement": "all",
    "log_min_error_statement": "debug5",
}


class PostgresProcess:
    """A server. `administer` and `connect` are how a test looks at it past the adapter."""

    def __init__(self, programs: Path, directory: Path, version: int) -> None:
        self.version = version
        self.programs = programs
        self.port = _free_port()
        self.password = secrets.token_urlsafe(16)
        self._directory = directory
        self._data = directory / "data"
        self.log = directory / "log"

    def initialise(self, settings: Mapping[str, str]) -> None:
        """Make the data directory; the superuser is `postgres`, and nobody gets in without a password."""
        secret = self._directory / "superuser"
        secret.write_text(self.password)
        _give_away(secret)
        self._program(
            *("initdb", "-D", str(self._data), "-U", "postgres", "-A", "scram-sha-256"),
            *("--pwfile", str(secret), "-E", "UTF8", "--locale", "C", "--no-sync"),
        )
        configuration = _CONFIGURATION | {"port": str(self.port)} | dict(settings)
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in configuration.items())

    def start(self) -> None:
        self._program(
            *("pg_ctl", "-D", str(self._data), "-l", str(self.log), "-w"),
            *("-t", _STARTS_WITHIN_SECONDS, "start"),
        )

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        self._program("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    @property
    def is_running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def connect(
        self, user: str = "postgres", password: str = "", database: str = "postgres"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Any user to any database, in autocommit."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=user,
            password=password or self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def administer(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Statements of the superuser; the rows of the last one."""
        with self.connect(database=database) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(sql.SQL(statement))
            return cursor.fetchall() if cursor.description else []

    def psql(self, file: Path, **variables: str) -> None:
        """Run a script as an administrator does."""
        subprocess.run(
            [
                *(str(self.programs / "psql"), "-X", "-q", "-h", HOST, "-p", str(self.port)),
                *("-U", "postgres", "-d", "postgres"),
                *(f"--set={name}={value}" for name, value in variables.items()),
                *("-f", str(file)),
            ],
            env={"PGPASSWORD": self.password, "PATH": os.environ["PATH"]},
            check=True,
            capture_output=True,
            timeout=60,
        )

    def _program(self, name: str, *arguments: str) -> None:
        ended = subprocess.run(
            [str(self.programs / name), *arguments],
            check=False,
            # Its children keep a pipe open for as long as the server runs.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            timeout=120,
            **_unprivileged(),
        )
        log = self.log.read_text()[-2000:] if self.log.exists() else ""
        assert ended.returncode == 0, f"{name} of PostgreSQL {self.version} failed: {log}"


@contextmanager
def postgres_server(version: int, **settings: str) -> Iterator[PostgresProcess]:
    """A server of this major version, with these lines in its configuration; skips the test if there is none here."""
    directory = Path(tempfile.mkdtemp(prefix=f"previews-postgres-{version}-"))
    try:
        _give_away(directory)
        server = PostgresProcess(programs_of(version, directory), directory, version)
        server.initialise(settings)
        server.start()
        try:
            yield server
        finally:
            if server.is_running:
                server.stop("immediate")
    finally:
        shutil.rmtree(directory)


def _unprivileged() -> dict[str, Any]:
    """A server refuses to run as root."""
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if _is_root() else {}


def _give_away(path: Path) -> None:
    if _is_root():
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _is_root() -> bool:
    return os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
    return port

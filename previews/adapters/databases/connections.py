"""Connections to one server's maintenance database, and the one method through which every statement goes.

Connections are kept for the next call, since making one costs as much as handing over a clone. A server that cannot be
reached is asked by one caller at a time, and not at all for a moment after it failed: nobody else waits for it.
"""

import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from previews.adapters.databases.refusals import connection_refusal, refusal
from previews.errors import TransientError

T = TypeVar("T")

OnStatement = Callable[[Literal["before", "after"], str], None]
"""Called around each statement with its text."""

CONNECT_SECONDS = 5
REST_SECONDS = 2.0
"""How long a server that could not be reached is left alone."""
_IDLE_MAX = 8
_IDLE_SECONDS_MAX = 60.0

_SESSION = {
    # Nobody's function or operator can stand in for the server's own.
    "search_path": "pg_catalog",
    # Somebody else's lock is reported, not waited for without end.
    "lock_timeout": "10s",
    # A manager that is stopped in the middle of a transaction holds up the others no longer than this.
    "idle_in_transaction_session_timeout": "60s",
    "statement_timeout": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLogin:
    """How the manager reaches a server."""

    host: str
    port: int
    user: str
    password_file: Path
    """Read for each new connection, so that a new password needs no restart."""
    database: str = "postgres"
    """The maintenance database: connected to, and otherwise left alone."""
    sslmode: str = "prefer"

    def __str__(self) -> str:
        return f"database server {self.host}:{self.port}"


class Session:
    """One connection, while one caller has it."""

    def __init__(
        self, connection: psycopg.Connection[Any], on_statement: OnStatement | None
    ) -> None:
        self._connection = connection
        self._on_statement = on_statement

    @property
    def server_version(self) -> int:
        """As 150018 for 15.18."""
        return self._connection.info.server_version

    def run(
        self, statement: sql.SQL | sql.Composed, arguments: Sequence[object] | None = None
    ) -> None:
        """Execute one statement, in a transaction of its own outside of `transaction`."""
        self._execute(self._connection.cursor(), statement, arguments)

    def rows(
        self,
        kind: type[T],
        statement: sql.SQL | sql.Composed,
        arguments: Sequence[object] | None = None,
    ) -> list[T]:
        """Execute one statement; its columns are the fields of `kind`."""
        cursor = self._connection.cursor(row_factory=class_row(kind))
        self._execute(cursor, statement, arguments)
        return cursor.fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end, or nothing when the server refuses something on the way."""
        self.run(sql.SQL("BEGIN"))
        try:
            yield
        except psycopg.Error:
            if not self._connection.closed:
                self.run(sql.SQL("ROLLBACK"))
            raise
        self.run(sql.SQL("COMMIT"))

    def verifier(self, password: str, role: str) -> str:
        """What the server keeps of a password. Computed on our side: its logs show statements."""
        encrypted = self._connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        return encrypted.decode()

    def _execute(
        self,
        cursor: psycopg.Cursor[Any],
        statement: sql.SQL | sql.Composed,
        arguments: Sequence[object] | None,
    ) -> None:
        if self._on_statement is None:
            cursor.execute(statement, arguments)
            return
        text = statement.as_string(self._connection)
        self._on_statement("before", text)
        cursor.execute(statement, arguments)
        self._on_statement("after", text)


class Connections:
    """Sessions for any number of threads."""

    def __init__(
        self,
        login: ServerLogin,
        *,
        application_name: str,
        on_statement: OnStatement | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login = login
        self._application_name = application_name
        self._on_statement = on_statement
        self._monotonic = monotonic
        self._lock = Lock()
        self._idle: list[tuple[float, psycopg.Connection[Any]]] = []
        self._failure: TransientError | None = None
        self._ask_again_at = 0.0

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for one call. Whatever goes wrong in it closes its connection, and so ends what it had begun.

        Raises TransientError when the server cannot be asked, and what `refusals` makes of its errors.
        """
        connection = self._take_idle() or self._connect()
        try:
            yield Session(connection, self._on_statement)
        except psycopg.Error as error:
            connection.close()
            raise refusal(error, str(self._login)) from error
        except BaseException:
            connection.close()
            raise
        self._put_back(connection)

    def close(self) -> None:
        """Close the connections that nobody has."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _take_idle(self) -> psycopg.Connection[Any] | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            if self._monotonic() - since < _IDLE_SECONDS_MAX and _is_silent(connection):
                return connection
            connection.close()

    def _put_back(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            if (
                len(self._idle) < _IDLE_MAX
                and connection.info.transaction_status == TransactionStatus.IDLE
            ):
                self._idle.append((self._monotonic(), connection))
                return
        connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        self._wait_for_turn()
        try:
            connection = self._open()
        except TransientError as failure:
            with self._lock:
                self._failure = failure
                self._ask_again_at = self._monotonic() + REST_SECONDS
            self.close()
            raise
        with self._lock:
            self._failure = None
        return connection

    def _wait_for_turn(self) -> None:
        """Raise what the last caller met, unless the server has rested since and it is ours to ask again."""
        with self._lock:
            if self._failure is None:
                return
            if self._monotonic() < self._ask_again_at:
                raise TransientError(self._failure.reason, self._failure.message)
            self._ask_again_at = self._monotonic() + CONNECT_SECONDS

    def _open(self) -> psycopg.Connection[Any]:
        login = self._login
        try:
            password = login.password_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise TransientError(
                "DatabaseServerUnreachable",
                f"{login}: the password cannot be read from {login.password_file}",
            ) from error
        try:
            return psycopg.connect(
                host=login.host,
                port=login.port,
                user=login.user,
                password=password,
                dbname=login.database,
                sslmode=login.sslmode,
                connect_timeout=CONNECT_SECONDS,
                application_name=self._application_name,
                client_encoding="UTF8",
                # After a failover the old server may come back as a copy that takes no changes.
                target_session_attrs="read-write",
                options=" ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
                # A server that is gone without a word is noticed within half a minute, in any statement.
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=30_000,
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise connection_refusal(error, str(login)) from error


def _is_silent(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said nothing since the last call: what it says to an idle session is a farewell."""
    if connection.closed:
        return False
    with suppress(OSError, ValueError, psycopg.Error):
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN | select.POLLHUP)
        return not waiting.poll(0)
    return False

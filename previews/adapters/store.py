"""The store on SQLite: deliveries and wishes survive a power cut, the rest can be found again and is not waited for.

Writes take turns under one lock of this process, so that none polls for SQLite's own; that one is left to settle
things with other processes (`previews list` beside a running manager).
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event, update
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError
from sqlmodel import Session, col, select

from previews.adapters import statements
from previews.adapters.rows import (
    delivery_of,
    entry_of,
    named_image_of,
    record_of,
    to_json,
    values_of_delivery,
    values_of_history,
    values_of_named_image,
    values_of_preview,
    values_of_wishes,
    wishes_of,
)
from previews.adapters.tables import HistoryRow, PreviewRow, PublishedRow, WishesRow
from previews.domain.images import NamedImage
from previews.domain.lifetime import Wishes
from previews.domain.ports import Clock
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.record import Delivery, HistoryEntry, PreviewRecord
from previews.errors import PreviewsError, StalledError, TransientError

_log = structlog.get_logger("previews.store")

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_POLL_SECONDS = 0.5
_ROWS_AT_ONCE = 100
NAMED_IMAGES_KEPT = timedelta(days=90)
"""By then whoever was to deploy it has: what is deployed is not looked up again."""

_migrating = threading.Lock()
"""Alembic keeps what it is migrating in a global; other processes are held off by the transaction."""


class SQLStore:
    """`ports.Store` in one file. Safe from any thread; brings the file's schema up to date when it is made."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        delivery_retention: timedelta,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        self._path = path
        self._clock = clock
        self._retention = delivery_retention
        self._write_lock = threading.Lock()
        self._durable = _engine(path, "BEGIN IMMEDIATE", "FULL", busy_timeout_seconds)
        self._ordinary = _engine(path, "BEGIN IMMEDIATE", "NORMAL", busy_timeout_seconds)
        self._reading = _engine(path, "BEGIN", "NORMAL", busy_timeout_seconds)
        try:
            self._migrate()
        except PreviewsError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection; the last one folds SQLite's log into the file."""
        for engine in (self._reading, self._ordinary, self._durable):
            engine.dispose()

    def accept(self, deliveries: Sequence[tuple[Delivery, Sequence[PreviewKey]]]) -> list[bool]:
        with self._writing(self._durable) as connection:
            guids = [delivery.guid for delivery, _ in deliveries]
            known = set(connection.scalars(statements.KNOWN, {"guids": guids}))
            answers: list[bool] = []
            rows: list[dict[str, Any]] = []
            marked: list[PreviewKey] = []
            for delivery, keys in deliveries:
                answers.append(delivery.guid not in known)
                if answers[-1]:
                    known.add(delivery.guid)
                    rows.append(values_of_delivery(delivery))
                    marked.extend(keys)
            if rows:
                connection.execute(statements.ACCEPT, rows)
                connection.execute(
                    statements.PRUNE_DELIVERIES, {"before": self._clock.now() - self._retention}
                )
            self._mark(connection, marked)
        return answers

    def known_deliveries(self, guids: Sequence[str]) -> set[str]:
        with self._translating(), self._reading.connect() as connection:
            return set(connection.scalars(statements.KNOWN, {"guids": list(guids)}))

    def unfinished_deliveries(self) -> list[Delivery]:
        with self._translating(), self._reading.connect() as connection:
            return [delivery_of(row) for row in connection.execute(statements.UNFINISHED)]

    def finish_delivery(self, guid: str) -> None:
        with self._writing(self._ordinary) as connection:
            connection.execute(statements.FINISH, {"named": guid})

    def _mark(self, connection: Connection, keys: Sequence[PreviewKey]) -> None:
        if keys:
            fresh = statements.FRESH | {"updated_at": self._clock.now()}
            rows = [fresh | {"project": key.project, "number": key.number} for key in keys]
            connection.execute(statements.MARK, rows)

    def load(self, key: PreviewKey) -> PreviewRecord | None:
        row = self._row(statements.LOAD, key)
        return record_of(row) if row else None

    def load_pull_request(self, repository: str, number: int) -> list[PreviewRecord]:
        wanted = select(PreviewRow).where(
            PreviewRow.repository == repository, PreviewRow.number == number
        )
        with self._session() as session:
            return [record_of(row) for row in session.exec(wanted.order_by(PreviewRow.project))]

    def list_records(self) -> list[PreviewRecord]:
        return list(self.each_record())

    def each_record(self) -> Iterator[PreviewRecord]:
        ordered = select(PreviewRow).order_by(PreviewRow.project, col(PreviewRow.number))
        with self._session() as session:
            for row in session.exec(ordered.execution_options(yield_per=_ROWS_AT_ONCE)):
                yield record_of(row)

    def save(self, record: PreviewRecord, history: Sequence[HistoryEntry] = ()) -> None:
        values = values_of_preview(record) | {"updated_at": self._clock.now()}
        with self._writing(self._ordinary) as connection:
            connection.execute(statements.SAVE, values)
            _add_history(connection, record.key, history)

    def load_wishes(self, key: PreviewKey) -> Wishes:
        row = self._row(statements.LOAD_WISHES, key)
        return _readable_wishes(row) if row else Wishes()

    def list_wishes(self) -> Mapping[PreviewKey, Wishes]:
        with self._session() as session:
            rows = session.exec(select(WishesRow))
            found = {PreviewKey(row.project, row.number): _readable_wishes(row) for row in rows}
        return {key: wishes for key, wishes in found.items() if wishes != Wishes()}

    def save_wishes(
        self, key: PreviewKey, wishes: Wishes, history: Sequence[HistoryEntry] = ()
    ) -> None:
        with self._writing(self._durable) as connection:
            connection.execute(statements.SAVE_WISHES, values_of_wishes(key, wishes))
            _add_history(connection, key, history)

    def history(self, key: PreviewKey) -> list[HistoryEntry]:
        wanted = select(HistoryRow).where(
            HistoryRow.project == key.project, HistoryRow.number == key.number
        )
        with self._session() as session:
            return [entry_of(row) for row in session.exec(wanted.order_by(col(HistoryRow.id)))]

    def forget(self, key: PreviewKey) -> None:
        with self._writing(self._ordinary) as connection:
            for statement in statements.FORGET:
                connection.execute(statement, statements.of(key))

    def mark_for_fetch(self, keys: Sequence[PreviewKey]) -> None:
        with self._writing(self._ordinary) as connection:
            self._mark(connection, keys)

    def clear_mark(self, key: PreviewKey, seen: int) -> None:
        still_the_same = (
            col(PreviewRow.project) == key.project,
            col(PreviewRow.number) == key.number,
            col(PreviewRow.fetch_mark) == seen,
        )
        with self._writing(self._ordinary) as connection:
            connection.execute(update(PreviewRow).where(*still_the_same).values(fetch_mark=0))

    def name_image(self, named: NamedImage) -> None:
        with self._writing(self._durable) as connection:
            connection.execute(statements.NAME_IMAGE, values_of_named_image(named))
            connection.execute(
                statements.PRUNE_NAMED_IMAGES, {"before": self._clock.now() - NAMED_IMAGES_KEPT}
            )

    def named_image(self, project: str, head_sha: HeadSha) -> NamedImage | None:
        asked = {"of": project, "at_head": head_sha}
        with self._translating(), self._reading.connect() as connection:
            row = connection.execute(statements.NAMED_IMAGE, asked).one_or_none()
        return named_image_of(row) if row else None

    def name_repository(self, repository_id: int, name: str, *, was: str) -> None:
        with self._writing(self._ordinary) as connection:
            for row in connection.execute(statements.PULL_REQUESTS_AT, {"at": was}).all():
                known = row.pull_request | {"repository": name, "repository_id": repository_id}
                place = {"of": row.project, "at_number": row.number}
                connection.execute(
                    statements.NAME_PULL_REQUEST, place | {"name": name, "known": known}
                )
            if name != was:
                for statement in statements.RENAME:
                    connection.execute(statement, {"at": was, "name": name})

    def comments_read_until(self, repository: str, number: int) -> datetime | None:
        asked = {"at": repository, "at_number": number}
        with self._translating(), self._reading.connect() as connection:
            return connection.scalar(statements.COMMENTS_READ, asked)

    def record_comments_read(self, repository: str, number: int, until: datetime) -> None:
        row = {"repository": repository, "number": number, "read_until": until}
        with self._writing(self._ordinary) as connection:
            connection.execute(statements.RECORD_COMMENTS_READ, row)

    def published(self, repository: str, number: int) -> Mapping[str, str]:
        wanted = select(PublishedRow).where(
            PublishedRow.repository == repository, PublishedRow.number == number
        )
        with self._session() as session:
            return {row.target: row.digest for row in session.exec(wanted)}

    def record_published(self, repository: str, number: int, target: str, digest: str) -> None:
        row = {"repository": repository, "number": number, "target": target, "digest": digest}
        with self._writing(self._ordinary) as connection:
            connection.execute(statements.PUBLISH, row)

    def _row(self, statement: Select[Any], key: PreviewKey) -> Row[Any] | None:
        """Without a session, which costs three times what the reading does: every look at a preview begins here."""
        with self._translating(), self._reading.connect() as connection:
            return connection.execute(statement, statements.of(key)).one_or_none()

    @contextmanager
    def _writing(self, engine: Engine) -> Iterator[Connection]:
        with self._translating(), self._write_lock, engine.begin() as connection:
            yield connection

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._translating(), Session(self._reading) as session:
            yield session

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise
        except (DatabaseError, OSError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else error
            raise TransientError(
                "StoreUnavailable",
                f"the store {self._path} cannot be used: {cause}; see to its disk, its permissions "
                "and who else has it open",
            ) from error

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with self._translating():
            # What strangers wrote is in it: it is for its owner's eyes only.
            self._path.touch(mode=0o600)
        with _migrating, self._writing(self._durable) as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in known:
                raise StalledError(
                    "StoreTooNew",
                    f"the store {self._path} was written by a newer version of previews (schema {current}): "
                    "start that version, or move the file away, which loses history and nothing else",
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


class SingleManagerLock:
    """Held by the one manager that works in a data directory. The kernel takes it back when the process dies."""

    def __init__(self, data_directory: Path) -> None:
        self._path = data_directory / "manager.lock"
        self._descriptor: int | None = None

    def acquire(self, stop: threading.Event, on_wait: Callable[[], None]) -> bool:
        """Wait for it, saying so once; False if `stop` came first."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise TransientError(
                "StoreUnavailable", f"the lock file {self._path} cannot be opened: {error.strerror}"
            ) from error
        waiting = False
        while not _lock_now(descriptor):
            if not waiting:
                waiting = True
                on_wait()
            if stop.wait(_LOCK_POLL_SECONDS):
                os.close(descriptor)
                return False
        self._descriptor = descriptor
        return True

    def close(self) -> None:
        """Let another manager have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _engine(
    path: Path, begin: str, synchronous: Literal["FULL", "NORMAL"], busy_timeout_seconds: float
) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        json_serializer=to_json,
        # An error's text goes to logs, and rows hold what strangers wrote.
        hide_parameters=True,
        # As many connections as there are threads; the pool keeps the usual few open.
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own connection
        # The driver must not begin transactions by itself: `begin` below says how.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {round(busy_timeout_seconds * 1000)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _add_history(connection: Connection, key: PreviewKey, entries: Sequence[HistoryEntry]) -> None:
    if entries:
        connection.execute(
            statements.ADD_HISTORY, [values_of_history(key, entry) for entry in entries]
        )
        connection.execute(statements.PRUNE_HISTORY, statements.of(key))


def _readable_wishes(row: WishesRow | Row[Any]) -> Wishes:
    """What can be read. Of the rest people must know: a pin that is forgotten lets its preview expire."""
    wishes, unreadable = wishes_of(row)
    if unreadable:
        _log.warning(
            "wishes are unreadable", preview=f"{row.project}#{row.number}", lost=unreadable
        )
    return wishes

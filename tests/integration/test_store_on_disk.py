"""What only the real store can show: its schema, its file, its disk, other processes."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from previews.adapters.store import SingleManagerLock, SQLStore
from previews.domain.preview import Condition, Phase, PreviewKey
from previews.domain.record import Delivery, PreviewRecord, Verdict
from previews.errors import PreviewsError, StalledError, TransientError
from tests.fakes.clock import ManualClock

KEY = PreviewKey("shop", 42)
RETENTION = timedelta(days=7)


@contextmanager
def opened(path: Path, clock: ManualClock | None = None) -> Iterator[SQLStore]:
    store = SQLStore(
        path,
        clock=clock or ManualClock(),
        delivery_retention=RETENTION,
        busy_timeout_seconds=0.01,
    )
    try:
        yield store
    finally:
        store.close()


def delivery(guid: str, received_at: datetime, body: bytes = b"") -> Delivery:
    return Delivery(guid, received_at, "pull_request", Verdict.KEPT_ASIDE, "odd", body)


def in_a_process(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_migrations_make_the_tables_that_the_code_expects(tmp_path: Path) -> None:
    with opened(tmp_path / "migrated.db"):
        pass
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    SQLModel.metadata.create_all(declared)

    options = {"compare_type": True, "compare_server_default": True}
    with migrated.connect() as connection:
        found = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(found, SQLModel.metadata) == []
    shapes = []
    for engine in (migrated, declared):
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT t.name, c.* FROM sqlite_master t, pragma_table_info(t.name) c "
                    "WHERE t.name != 'alembic_version' ORDER BY t.name, c.cid"
                )
            )
            shapes.append([tuple(row) for row in rows])
        engine.dispose()
    assert shapes[0] == shapes[1]
    assert {shape[0] for shape in shapes[0]} >= {"delivery", "preview", "published"}


def test_a_store_that_is_opened_again_has_what_it_had(tmp_path: Path) -> None:
    record = PreviewRecord(key=KEY, phase=Phase.LIVE, message="so")
    with opened(tmp_path / "previews.db") as store:
        store.save(record)

    with opened(tmp_path / "previews.db") as store:
        assert store.load(KEY) == record


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    def open_it(_: int) -> int:
        with opened(tmp_path / "previews.db") as store:
            return len(store.list_records())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(open_it, range(4))) == [0] * 4


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with opened(path) as store:
        store.save(PreviewRecord(key=KEY))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StalledError, match="newer version of previews") as raised, opened(path):
        pass

    assert raised.value.reason == "StoreTooNew"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM preview").fetchone() == (1,)
    connection.close()


def test_a_migration_that_is_cut_short_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with sqlite3.connect(path) as connection:
        # The last step of the first migration meets a table of that name.
        connection.execute("CREATE TABLE published (something TEXT)")

    with pytest.raises(TransientError, match="already exists"), opened(path):
        pass

    with connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert tables == [("published",)]
        connection.execute("DROP TABLE published")
    connection.close()
    with opened(path) as store:
        assert store.list_records() == []


def test_a_damaged_file_and_a_missing_folder_are_said(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all " * 400)

    for path, words in ((damaged, "not a database"), (tmp_path / "none" / "p.db", "No such file")):
        with pytest.raises(TransientError, match=words) as raised, opened(path):
            pass
        assert raised.value.reason == "StoreUnavailable"
        assert str(path) in raised.value.message


def test_damage_that_is_met_later_is_said_too(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with opened(path) as store:
        store.save(PreviewRecord(key=KEY))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))

    with pytest.raises(TransientError) as raised, opened(path) as store:
        store.list_records()
    assert raised.value.reason == "StoreUnavailable"


_ON_A_FULL_DISK = """
import resource, sys
from datetime import timedelta
from pathlib import Path
from previews.adapters.store import SQLStore
from previews.errors import TransientError
from tests.fakes.clock import ManualClock
from tests.integration.test_store_on_disk import delivery

path, clock = Path(sys.argv[1]), ManualClock()
store = SQLStore(path, clock=clock, delivery_retention=timedelta(days=7))
store.accept([(delivery("first", clock.now()), [])])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size, hard))
try:
    store.accept([(delivery("second", clock.now(), b"x" * 100_000), [])])
except TransientError as error:
    print(error.reason)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(store.accept([(delivery("second", clock.now()), []), (delivery("first", clock.now()), [])]))
"""


def test_a_full_disk_refuses_a_delivery_and_takes_it_when_there_is_room(tmp_path: Path) -> None:
    process = in_a_process(_ON_A_FULL_DISK, str(tmp_path / "previews.db"))
    output, _ = process.communicate()

    assert output.splitlines() == ["StoreUnavailable", "[True, False]"]


def test_another_process_that_writes_does_not_keep_anybody_from_reading(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with opened(path) as store:
        store.save(PreviewRecord(key=KEY))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        assert store.load(KEY) == PreviewRecord(key=KEY)
        with pytest.raises(TransientError, match="locked"):
            store.mark_for_fetch([KEY])

        other.close()
        store.mark_for_fetch([KEY])


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    with opened(tmp_path / "previews.db") as store:
        store.save(PreviewRecord(key=KEY))

        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_deliveries_wait_for_the_disk_and_nothing_else_does(tmp_path: Path) -> None:
    normal, full = 1, 2
    with opened(tmp_path / "previews.db") as store:
        for engine, expected in ((store._durable, full), (store._ordinary, normal)):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_deliveries_are_forgotten_after_their_retention(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path / "previews.db", clock) as store:
        old = delivery("old", clock.now())
        store.accept([(old, [])])
        clock.move(RETENTION)
        store.accept([(delivery("on the day", clock.now()), [])])
        assert store.accept([(old, [])]) == [False]

        clock.move(timedelta(seconds=1))
        store.accept([(delivery("a second later", clock.now()), [])])

        assert store.accept([(old, [])]) == [True]


def test_what_another_version_wrote_is_forgotten_where_it_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    now = datetime(2026, 11, 2, tzinfo=UTC)
    met = Condition(type="Pushed", status=True, reason="Met", message="", since=now)
    with opened(path) as store:
        store.save(PreviewRecord(key=KEY, conditions=(met,), message="so", fetch_mark=3))
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE preview SET pull_request = '{\"colour\": 1}', manifests = '{\"stage\": 1}', "
            "phase = 'Glowing', conditions = json_insert(conditions, '$[#]', json('{\"odd\": 1}'))"
        )
    connection.close()

    with opened(path) as store:
        found = store.load(KEY)

    assert found == PreviewRecord(key=KEY, conditions=(met,), message="so", fetch_mark=3)


def test_an_error_does_not_repeat_what_was_to_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with opened(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError) as raised:
            store.save(PreviewRecord(key=KEY, message="canary"))
        other.close()
        other = sqlite3.connect(path)
        with other:
            other.execute("DROP TABLE preview")
        other.close()
        with pytest.raises(PreviewsError) as raised_later:
            store.save(PreviewRecord(key=KEY, message="canary"))

    for error in (raised.value, raised_later.value):
        assert "canary" not in f"{error.message} {error.__cause__}"


_HOLDING_THE_LOCK = """
import sys, threading
from pathlib import Path
from previews.adapters.store import SingleManagerLock
lock = SingleManagerLock(Path(sys.argv[1]))
lock.acquire(threading.Event(), lambda: None)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_manager_says_once_that_it_waits_and_takes_over_from_a_dead_one(
    tmp_path: Path,
) -> None:
    first = in_a_process(_HOLDING_THE_LOCK, str(tmp_path))
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    waits: list[str] = []
    told = threading.Event()

    def on_wait() -> None:
        waits.append("another manager holds it")
        told.set()

    second = SingleManagerLock(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        acquired = pool.submit(second.acquire, threading.Event(), on_wait)
        assert told.wait(10)
        assert not acquired.done()
        first.kill()
        first.communicate()

        assert acquired.result(10)
    assert waits == ["another manager holds it"]
    second.close()


def test_a_manager_that_is_told_to_stop_waits_no_longer_for_the_lock(tmp_path: Path) -> None:
    first, second, third = (SingleManagerLock(tmp_path) for _ in range(3))
    assert first.acquire(threading.Event(), lambda: None)
    stop = threading.Event()

    assert not second.acquire(stop, stop.set)

    first.close()
    assert third.acquire(threading.Event(), lambda: None)
    third.close()

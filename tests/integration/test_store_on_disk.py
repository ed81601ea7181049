"""What only the real store can show: its schema, its file, its disk, other processes."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, event, text
from sqlmodel import SQLModel
from structlog.testing import capture_logs

from previews.adapters import migrations
from previews.adapters.store import SingleManagerLock, SQLStore
from previews.domain.lifetime import Anchor, Expiry, Facts, Said, Until, Wishes
from previews.domain.preview import (
    Condition,
    HeadSha,
    Manifests,
    Phase,
    PreviewKey,
    Stage,
)
from previews.domain.probing import ProbeVerdict
from previews.domain.record import Delivery, HistoryEntry, PreviewRecord, Removal, Verdict
from previews.errors import PreviewsError, StalledError, TransientError
from tests.fakes.clock import ManualClock
from tests.pull_requests import PULL_REQUEST

KEY = PreviewKey("shop", 42)
RETENTION = timedelta(days=7)
NOON = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)
SLEPT = HistoryEntry(NOON, "ada", "Slept")
WISHES = Wishes(
    pin=Until(NOON + timedelta(days=1), NOON, "ada"),
    sleep=Said(NOON, "ada"),
    removal=Said(NOON, "ada"),
    wake=Said(NOON, "bob"),
    active_at=NOON,
)


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


def store_of_version_one(path: Path) -> sqlite3.Connection:
    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    return sqlite3.connect(path)


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
    assert {shape[0] for shape in shapes[0]} >= {
        "conversation",
        "delivery",
        "history",
        "preview",
        "published",
        "wishes",
    }


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


@pytest.mark.fault(18)
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


@pytest.mark.fault(18)
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


@pytest.mark.fault(16)
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


def test_deliveries_and_wishes_wait_for_the_disk_and_nothing_else_does(tmp_path: Path) -> None:
    normal, full = 1, 2
    waited: list[str] = []
    with opened(tmp_path / "previews.db") as store:
        for engine, expected in ((store._durable, full), (store._ordinary, normal)):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        event.listen(store._durable, "commit", lambda _: waited.append("waited"))

        store.save(PreviewRecord(key=KEY), [SLEPT])
        store.record_published("acme/shop", 42, "comment", "d1")
        store.mark_for_fetch([KEY])
        store.forget(KEY)
        assert waited == []
        store.accept([(delivery("one", NOON), [KEY])])
        store.save_wishes(KEY, WISHES, [SLEPT])

        assert waited == ["waited"] * 2


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
        store.save(
            PreviewRecord(
                key=KEY,
                conditions=(met,),
                message="so",
                fetch_mark=3,
                facts=Facts(created_at=now, pushed_at=now),
                expiry=Expiry(now, Anchor.CREATION, now, RETENTION),
                removal=Removal(cause="Closed", by="previews", started_at=now),
            )
        )
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE preview SET pull_request = '{\"colour\": 1}', manifests = '{\"stage\": 1}', "
            "facts = '{\"created_at\": \"then\"}', removal = json_set(removal, '$.gone', json('[1]')), "
            "expiry = json_set(expiry, '$.ttl', 1e300), "
            "phase = 'Glowing', conditions = json_insert(conditions, '$[#]', json('{\"odd\": 1}'))"
        )
    connection.close()

    with opened(path) as store:
        found = store.load(KEY)

    assert found == PreviewRecord(key=KEY, conditions=(met,), message="so", fetch_mark=3)


def test_one_wish_that_cannot_be_read_takes_no_other_along_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    with opened(path) as store:
        store.save_wishes(KEY, WISHES)
        store.save_wishes(PreviewKey("shop", 43), WISHES)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE wishes SET sleep = '{\"at\": \"2026-11-02T12:00:00\"}', removal = '[]', "
            "active_at = 'yesterday', pin = json_remove(json_set(pin, '$.why', 'demo'), '$.by') "
            "WHERE number = 42"
        )
    connection.close()

    with opened(path) as store, capture_logs() as logs:
        found, listed = store.load_wishes(KEY), store.list_wishes()

    pin = replace(WISHES.pin, by="") if WISHES.pin else None
    left = replace(WISHES, pin=pin, sleep=None, removal=None, active_at=None)
    assert found == left
    assert listed == {KEY: left, PreviewKey("shop", 43): WISHES}
    for line in logs:
        assert line["preview"] == str(KEY)
        assert line["lost"] == ["sleep", "removal", "active_at"]
    assert len(logs) == 2


def test_times_come_back_in_utc_to_the_microsecond(tmp_path: Path) -> None:
    eastern = NOON.astimezone(timezone(timedelta(hours=5)))
    facts = Facts(created_at=eastern, pushed_at=eastern)
    with opened(tmp_path / "previews.db") as store:
        record = PreviewRecord(key=KEY, queued_since=eastern, facts=facts)
        store.save(record, [replace(SLEPT, at=eastern)])
        found, history = store.load(KEY), store.history(KEY)

    assert found is not None
    assert found.facts is not None
    for moment in (found.queued_since, found.facts.created_at, history[0].at):
        assert moment == NOON
        assert moment.tzinfo is UTC


_AS_VERSION_ONE_WROTE_IT = {
    "project": "shop",
    "number": 42,
    "repository": '"acme/shop"',
    "fetch_mark": 3,
    "pull_request": (
        '{"author": "ada", "base_branch": "main", "from_fork": false, "head_branch": "fix", '
        '"head_sha": "' + "a" * 40 + '", "is_open": true, "number": 42, "repository": "acme/shop", '
        '"title": "lone \\ud83d", "url": "https://forge.example/acme/shop/pull/42"}'
    ),
    "head_since": "2026-11-01 08:30:00.000250",
    "manifests": (
        '{"digest": "d1", "files": {"namespace.yaml": "kind: Namespace"}, "head_sha": "'
        + "a" * 40
        + '", "stage": "Whole"}'
    ),
    "probed_digest": "d1",
    "probe_result": '{"answered": true, "detail": "200 OK"}',
    "phase": "Live",
    "reason": '"Live"',
    "message": '"so"',
    "failed": 0,
    "conditions": (
        '[{"message": "", "reason": "Met", "since": "2026-11-02T12:00:00.123456+00:00", '
        '"status": true, "type": "Pushed"}]'
    ),
    "updated_at": "2026-11-02 09:00:00.000000",
}


@pytest.mark.fault(18)
def test_what_the_first_version_stored_is_read_and_gets_its_times(tmp_path: Path) -> None:
    path = tmp_path / "previews.db"
    removing = {
        "number": 43,
        "manifests": '{"digest": "", "files": {}, "head_sha": null, "stage": "Namespace"}',
    }
    waiting = {"number": 44, "manifests": None, "repository": None, "pull_request": None}
    damaged = {"number": 45, "manifests": "{}"}
    with closing(store_of_version_one(path)) as connection, connection:
        for changes in ({}, removing, waiting, damaged):
            row = _AS_VERSION_ONE_WROTE_IT | changes
            connection.execute(
                f"INSERT INTO preview ({', '.join(row)}) VALUES ({', '.join(':' + n for n in row)})",
                row,
            )
        connection.execute(
            "INSERT INTO published VALUES ('\"acme/shop\"', 42, '\"comment\"', 'd1')"
        )
        connection.execute(
            "INSERT INTO delivery VALUES ('one', '2026-11-02 09:00:00.000000', 'push', 'accepted', '', x'')"
        )

    pushed_at = datetime(2026, 11, 1, 8, 30, 0, 250, tzinfo=UTC)
    decided_at = datetime(2026, 11, 2, 9, tzinfo=UTC)
    head_sha = HeadSha("a" * 40)
    for _ in range(2):
        with opened(path) as store:
            assert store.load(KEY) == PreviewRecord(
                key=KEY,
                fetch_mark=3,
                pull_request=replace(
                    PULL_REQUEST,
                    head_sha=head_sha,
                    head_branch="fix",
                    title="lone \ud83d",
                    author="ada",
                ),
                head_since=pushed_at,
                facts=Facts(created_at=pushed_at, pushed_at=pushed_at),
                manifests=Manifests(
                    Stage.WHOLE, "d1", head_sha, {"namespace.yaml": "kind: Namespace"}
                ),
                manifests_since=decided_at,
                probed_digest="d1",
                probe=ProbeVerdict(answered=True, detail="200 OK"),
                phase=Phase.LIVE,
                reason="Live",
                message="so",
                conditions=(
                    Condition(type="Pushed", status=True, reason="Met", message="", since=NOON),
                ),
            )
            for other in store.list_records()[1:]:
                assert other.head_since == pushed_at
                assert other.facts is None
                assert other.manifests_since is None
            assert len(store.list_records()) == 4
            assert store.published("acme/shop", 42) == {"comment": "d1"}
            assert store.accept([(delivery("one", NOON), [])]) == [False]
            store.save_wishes(KEY, WISHES, [SLEPT])
            assert store.load_wishes(KEY) == WISHES


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


@pytest.mark.fault(14)
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

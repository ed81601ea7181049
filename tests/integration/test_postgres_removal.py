"""The end of a preview's database, with whoever is still in it, and what is not ours left as it is."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import psycopg
import pytest

from previews.adapters.databases.marks import Build, DatabaseMark, RoleMark, write_mark
from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import Credential, DatabaseLimits
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from previews.errors import StalledError
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import BUILT_AT, NOON, credential
from tests.postgres.server import HOST

KEY = PreviewKey("shop", 7)
NAME = database_name(KEY)


@pytest.fixture(scope="module", params=VERSIONS)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with postgres_server(request.param) as process, instance_on(process) as prepared:
        prepared.make_template("golden")
        yield prepared


@pytest.fixture
def server(instance: Instance) -> Iterator[PostgresServer]:
    with instance.adapter() as adapter:
        adapter.create(KEY, "golden", DatabaseLimits(), incarnation="first", at=NOON)
        yield adapter
        adapter.drop(KEY)
        assert adapter.find(KEY) is None


@pytest.fixture
def given(server: PostgresServer) -> Credential:
    password = credential()
    server.set_credential(KEY, password)
    return password


def refusal_of(server: PostgresServer) -> str:
    with pytest.raises(StalledError) as refused:
        server.drop(KEY)
    assert refused.value.reason == "DatabaseInUse"
    return refused.value.message


@contextmanager
def opened_by_hand(instance: Instance) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An administrator's session in what is being removed."""
    instance.process.administer(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS true")
    with instance.process.connect(database=NAME) as session:
        yield session
    instance.process.administer(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS false")


@pytest.mark.fault(47)
def test_ten_open_sessions_are_ended(
    instance: Instance, server: PostgresServer, given: Credential
) -> None:
    sessions = [instance.connect(KEY, given) for _ in range(10)]
    for session in sessions:
        session.execute("BEGIN")
        session.execute("LOCK TABLE item IN ACCESS SHARE MODE")

    server.drop(KEY)

    assert server.find(KEY) is None
    for session in sessions:
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        session.close()


@pytest.mark.fault(47)
def test_a_client_that_always_comes_back_does_not_hold_it_up(
    instance: Instance, server: PostgresServer, given: Credential
) -> None:
    connected, over = threading.Event(), threading.Event()

    def come_back() -> None:
        while not over.is_set():
            with suppress(psycopg.OperationalError), instance.connect(KEY, given) as session:
                connected.set()
                session.execute("SELECT pg_sleep(60)")

    clients = [threading.Thread(target=come_back) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        assert connected.wait(30)
        server.drop(KEY)
        assert server.find(KEY) is None
    finally:
        over.set()
        for client in clients:
            client.join()


@pytest.mark.fault(47)
def test_a_prepared_transaction_is_named_and_the_removal_goes_on_when_it_is_over(
    instance: Instance, server: PostgresServer, given: Credential
) -> None:
    with instance.connect(KEY, given) as session:
        session.execute("BEGIN")
        session.execute("DELETE FROM item")
        session.execute("PREPARE TRANSACTION 'it''s held'")

    for _ in range(2):
        message = refusal_of(server)
        assert "is being used by prepared transactions" in message
        assert "prepared transaction 'it''s held'" in message
    with pytest.raises(psycopg.OperationalError):
        instance.connect(KEY, given)

    with opened_by_hand(instance) as session:
        session.execute("ROLLBACK PREPARED 'it''s held'")


@pytest.mark.fault(47)
def test_an_active_replication_slot_is_named_and_an_idle_one_goes_along(
    instance: Instance, server: PostgresServer
) -> None:
    process = instance.process
    process.administer(
        "SELECT pg_create_logical_replication_slot('followed', 'test_decoding')", database=NAME
    )
    follower = subprocess.Popen(
        [
            *(str(process.programs / "pg_recvlogical"), "-h", HOST, "-p", str(process.port)),
            *("-U", "postgres", "-d", NAME, "--slot", "followed", "--start", "-n", "-f", "-"),
        ],
        env={"PGPASSWORD": process.password},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not process.administer("SELECT 1 FROM pg_replication_slots WHERE active"):
            assert follower.poll() is None
        message = refusal_of(server)
        assert "active logical replication slot" in message
        assert "replication slot followed" in message
    finally:
        follower.kill()
        follower.wait()
    while process.administer("SELECT 1 FROM pg_replication_slots WHERE active"):
        pass
    server.drop(KEY)
    assert process.administer("SELECT slot_name FROM pg_replication_slots") == []


@pytest.mark.fault(47)
def test_a_subscription_is_named(instance: Instance, server: PostgresServer) -> None:
    instance.process.administer(
        "CREATE SUBSCRIPTION news CONNECTION 'host=db.example' PUBLICATION p"
        " WITH (connect = false, enabled = false, slot_name = NONE)",
        database=NAME,
    )
    message = refusal_of(server)
    assert "subscription news" in message

    with opened_by_hand(instance) as session:
        session.execute("DROP SUBSCRIPTION news")


@pytest.mark.fault(47)
def test_an_administrators_session_is_not_ended_but_told(
    instance: Instance, server: PostgresServer
) -> None:
    with instance.process.connect(database=NAME) as session:
        message = refusal_of(server)
        assert "superuser" in message.lower()
        assert session.execute("SELECT 1").fetchone() == (1,)
    server.drop(KEY)


def test_what_a_role_owns_elsewhere_is_told(instance: Instance, server: PostgresServer) -> None:
    instance.process.administer(
        "CREATE DATABASE elsewhere", f"ALTER DATABASE elsewhere OWNER TO {NAME}"
    )
    with pytest.raises(StalledError) as refused:
        server.drop(KEY)
    assert "elsewhere" in refused.value.message
    assert instance.process.administer("SELECT 1 FROM pg_database WHERE datname = 'elsewhere'")
    instance.process.administer(
        "ALTER DATABASE elsewhere OWNER TO postgres", "DROP DATABASE elsewhere"
    )


def decoys(instance: Instance) -> dict[str, tuple[str, ...]]:
    """What looks like ours to a careless eye, by what is wrong with it."""
    mark = DatabaseMark(
        key=KEY, incarnation="x", created_at=NOON, build=Build(template="golden", built_at=BUILT_AT)
    )
    ours, others = (quoted(write_mark(mark, name)) for name in (instance.name, "other"))
    role = quoted(write_mark(RoleMark(key=KEY), "other"))
    return {
        "no mark": (f"CREATE DATABASE {NAME}",),
        "our mark, another owner": (
            f"CREATE DATABASE {NAME}",
            f"COMMENT ON DATABASE {NAME} IS {ours}",
        ),
        "our owner, no mark, in use": (f"CREATE DATABASE {NAME} OWNER {instance.role}",),
        "our owner, another's comment": (
            f"CREATE DATABASE {NAME} OWNER {instance.role} ALLOW_CONNECTIONS false",
            f"COMMENT ON DATABASE {NAME} IS 'mine, keep out'",
        ),
        "another instance's mark": (
            f"CREATE DATABASE {NAME} OWNER {instance.role}",
            f"COMMENT ON DATABASE {NAME} IS {others}",
        ),
        "another preview's mark": (
            f"CREATE DATABASE {NAME} OWNER {instance.role}",
            f"COMMENT ON DATABASE {NAME} IS {ours.replace('#7', '#8')}",
        ),
        "a role without a mark": (f"CREATE ROLE {NAME}",),
        "a role of another instance": (f"CREATE ROLE {NAME}", f"COMMENT ON ROLE {NAME} IS {role}"),
    }


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def state(instance: Instance) -> list[tuple[object, ...]]:
    return instance.process.administer(
        "SELECT datname::text, datdba, datallowconn, datacl::text, shobj_description(oid, 'pg_database')"
        " FROM pg_database UNION ALL "
        "SELECT rolname::text, oid, rolcanlogin, rolconnlimit::text, shobj_description(oid, 'pg_authid')"
        " FROM pg_roles ORDER BY 1, 2"
    )


def test_what_only_looks_like_ours_is_never_touched(instance: Instance) -> None:
    for wrong, statements in decoys(instance).items():
        instance.process.administer(*statements)
        before = state(instance)
        with instance.adapter() as server:
            for attempt in attempts(server, NOON):
                with pytest.raises(StalledError) as refused:
                    attempt()
                assert refused.value.reason == "DatabaseNotOurs", wrong
            found = server.find(KEY)
            assert found is not None
            assert found.key is None, wrong
            assert server.list_databases() == [], wrong
            server.fill_pool("golden", 0, at=NOON)
        assert state(instance) == before, wrong
        kind = "ROLE" if "ROLE" in statements[0] else "DATABASE"
        instance.process.administer(f"DROP {kind} {NAME}")


def attempts(server: PostgresServer, at: datetime) -> list[Callable[[], None]]:
    return [
        lambda: server.create(KEY, "golden", DatabaseLimits(), incarnation="x", at=at),
        lambda: server.set_credential(KEY, credential()),
        lambda: server.drop(KEY),
    ]


def test_what_only_looks_like_a_waiting_clone_is_neither_handed_out_nor_dropped(
    instance: Instance,
) -> None:
    names = ("previews_pool_0badcafe", "previews_pool_deadbeef")
    instance.process.administer(
        f"CREATE DATABASE {names[0]} ALLOW_CONNECTIONS false",
        f"CREATE DATABASE {names[1]} OWNER {instance.role}",
    )
    before = state(instance)
    with instance.adapter() as server:
        server.fill_pool("golden", 0, at=NOON)
        assert state(instance) == before
        server.create(KEY, "golden", DatabaseLimits(), incarnation="first", at=NOON)
        server.drop(KEY)
    assert state(instance) == before
    instance.process.administer(*(f"DROP DATABASE {name}" for name in names))

"""What a preview can reach with its own password: its own database, and nothing else on the server."""

from collections.abc import Iterator
from typing import Literal

import psycopg
import pytest

from previews.adapters.databases.marks import group_role
from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import Credential, DatabaseLimits
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import NOON, credential

KEYS = [PreviewKey("shop", number) for number in range(1, 5)]
ONE, TWO = KEYS[:2]
LIMITS = DatabaseLimits(connections=3)


@pytest.fixture(scope="module", params=VERSIONS)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with postgres_server(request.param) as process, instance_on(process) as prepared:
        # A template may bring dblink along, which a preview cannot install.
        prepared.make_template("golden", "CREATE EXTENSION dblink")
        yield prepared


@pytest.fixture
def server(instance: Instance) -> Iterator[PostgresServer]:
    with instance.adapter() as adapter:
        adapter.fill_pool("golden", 2, at=NOON)
        adapter.fill_pool("golden", 2, at=NOON)
        yield adapter
        for key in KEYS:
            adapter.drop(key)


@pytest.fixture
def passwords(server: PostgresServer) -> dict[PreviewKey, Credential]:
    """Of every preview; half of them came from the pool."""
    given = {key: credential() for key in KEYS}
    for key in KEYS:
        server.create(key, "golden", LIMITS, incarnation="first", at=NOON)
        server.set_credential(key, given[key])
    server.fill_pool("golden", 1, at=NOON)
    return given


def can_enter(instance: Instance, key: PreviewKey, given: Credential, database: str) -> bool:
    try:
        instance.connect(key, given, database).close()
    except psycopg.OperationalError:
        return False
    return True


def all_databases(instance: Instance) -> list[str]:
    rows = instance.process.administer("SELECT datname::text FROM pg_database ORDER BY datname")
    return [name for [name] in rows]


@pytest.mark.fault(45)
@pytest.mark.fault(46)
def test_each_preview_enters_its_own_database_and_no_other(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    databases = all_databases(instance)
    assert {"postgres", "template0", "template1", "golden"} < set(databases)
    assert any(name.startswith("previews_pool_") for name in databases)

    entered = {
        (key, database)
        for key, given in passwords.items()
        for database in databases
        if can_enter(instance, key, given, database)
    }

    assert entered == {(key, database_name(key)) for key in KEYS}
    [open_to_all] = instance.process.administer(
        "SELECT count(*) FROM pg_database WHERE datallowconn"
        " AND has_database_privilege('public', oid, 'CONNECT')"
    )
    assert open_to_all == (0,)


@pytest.mark.fault(45)
@pytest.mark.fault(46)
def test_nobody_enters_a_database_while_it_is_made(
    instance: Instance, server: PostgresServer
) -> None:
    """At each moment of a clone and of a handover from the pool, and before its own password is set."""
    given = credential()
    server.create(ONE, "golden", LIMITS, incarnation="first", at=NOON)
    server.set_credential(ONE, given)
    new_password = credential()
    entered: list[str] = []
    tried = 0

    def try_all(when: Literal["before", "after"], statement: str) -> None:
        nonlocal tried
        for name in all_databases(instance):
            tried += 1
            if name != database_name(ONE) and can_enter(instance, ONE, given, name):
                entered.append(f"{name} {when} {statement}")
            if name.startswith("preview_") and can_enter(instance, TWO, new_password, name):
                entered.append(f"{name} {when} {statement}")

    with instance.adapter(try_all) as watched:
        for key in (TWO, KEYS[2]):
            watched.create(key, "golden", LIMITS, incarnation="first", at=NOON)
    assert entered == []
    assert tried > 100

    server.set_credential(TWO, new_password)
    assert can_enter(instance, TWO, new_password, database_name(TWO))


@pytest.mark.fault(45)
def test_in_its_own_database_it_may_do_what_an_application_and_its_migrations_do(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    with instance.connect(ONE, passwords[ONE]) as session:
        session.execute("INSERT INTO item VALUES (0, 'mine')")
        session.execute("ALTER TABLE item ADD COLUMN price numeric")
        session.execute("CREATE INDEX ON item (price)")
        session.execute("CREATE SCHEMA audit")
        session.execute("CREATE TABLE audit.entry (at timestamptz)")
        session.execute("CREATE TEMPORARY TABLE scratch (id int)")
        session.execute("CREATE EXTENSION citext")
        session.execute("DROP TABLE item")
    with instance.connect(TWO, passwords[TWO]) as session:
        assert session.execute("SELECT count(*) FROM item").fetchone() == (100,)


def attacks(instance: Instance, given: Credential) -> dict[str, str]:
    """What a preview may try, by what it would be good for; all of it has to be refused."""
    mine, other = database_name(ONE), database_name(TWO)
    address = f"host=127.0.0.1 port={instance.process.port} dbname={other} user={mine}"
    return {
        "read a file of the server": "SELECT pg_read_file('PG_VERSION')",
        "list its files": "SELECT pg_ls_dir('.')",
        "load a file": "CREATE TEMPORARY TABLE t (x text); COPY t FROM '/etc/passwd'",
        "run a program": "CREATE TEMPORARY TABLE t (x text); COPY t FROM PROGRAM 'id'",
        "write through a program": "COPY item TO PROGRAM 'cat'",
        "import a large object": "SELECT lo_import('/etc/passwd')",
        "act as another preview": f"SET ROLE {other}",
        "act as the instance": f"SET ROLE {instance.role}",
        "act as the manager": f"SET ROLE {instance.login.user}",
        "log on as another": f"SET SESSION AUTHORIZATION {other}",
        "join the instance": f"GRANT {instance.role} TO {mine}",
        "join another preview": f"GRANT {other} TO {mine}",
        "take another into its template's group": f"GRANT {group_role('golden')} TO {other}",
        "install dblink": "DROP EXTENSION dblink; CREATE EXTENSION dblink",
        "use dblink without a password": f"SELECT dblink_connect('{address}')",
        "use dblink with its own": f"SELECT dblink_connect('{address} password={given.password}')",
        "install file access": "CREATE EXTENSION file_fdw",
        "rename its database": f"ALTER DATABASE {mine} RENAME TO mine",
        "own its database": f"ALTER DATABASE {mine} OWNER TO {mine}",
        "forge its database's mark": f"COMMENT ON DATABASE {mine} IS ''",
        "forge its role's mark": f"COMMENT ON ROLE {mine} IS ''",
        "make databases": "CREATE DATABASE another",
        "copy the template": "CREATE DATABASE another TEMPLATE golden",
        "drop another's": f"DROP DATABASE {other}",
        "make roles": "CREATE ROLE another",
        "give itself rights": f"ALTER ROLE {mine} CREATEDB",
        "more connections": f"ALTER ROLE {mine} CONNECTION LIMIT 100",
        "another's password": f"ALTER ROLE {other} PASSWORD 'x'",
        "see password hashes": "SELECT rolpassword FROM pg_authid",
        "change the server": "ALTER SYSTEM SET log_statement = 'none'",
        "end another's session": f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{other}'",
        "load a library": "LOAD '/tmp/library.so'",
        "an untrusted language": "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'library', 'f'",
        "replicate": "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
        "subscribe": f"CREATE SUBSCRIPTION s CONNECTION '{address}' PUBLICATION p",
    }


@pytest.mark.fault(45)
def test_every_way_out_of_its_database_is_refused(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    done = []
    with (
        instance.connect(TWO, passwords[TWO]),  # a session that it might end
        instance.connect(ONE, passwords[ONE]) as session,
    ):
        for purpose, statement in attacks(instance, passwords[ONE]).items():
            session.execute("BEGIN")
            try:
                session.execute(statement.encode())
            except psycopg.Error:
                session.execute("ROLLBACK")
                continue
            session.execute("ROLLBACK")
            done.append(purpose)
        # Several statements at once: some of those above cannot be in a transaction in any case.
        for purpose in (
            "make databases",
            "copy the template",
            "drop another's",
            "change the server",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(attacks(instance, passwords[ONE])[purpose].encode())
    assert done == []


@pytest.mark.fault(45)
def test_it_cannot_let_others_in(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    """A grant without the right to grant is a warning to PostgreSQL; what counts is that nothing came of it."""
    mine = database_name(ONE)
    with instance.connect(ONE, passwords[ONE]) as session:
        session.execute(f"GRANT CONNECT ON DATABASE {mine} TO PUBLIC".encode())
    assert not can_enter(instance, TWO, passwords[TWO], mine)


@pytest.mark.fault(45)
def test_it_gets_no_more_connections_than_its_limit(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    sessions = [instance.connect(ONE, passwords[ONE]) for _ in range(LIMITS.connections)]
    assert not can_enter(instance, ONE, passwords[ONE], database_name(ONE))
    assert can_enter(instance, TWO, passwords[TWO], database_name(TWO))
    assert sessions[0].execute("SHOW statement_timeout").fetchone() == ("1min",)
    assert sessions[0].execute("SHOW idle_session_timeout").fetchone() == ("10min",)
    for session in sessions:
        session.close()


@pytest.mark.fault(54)
def test_no_password_is_ever_in_the_servers_log_or_in_a_process_argument(
    instance: Instance, passwords: dict[PreviewKey, Credential]
) -> None:
    log = instance.process.log.read_text()
    assert "ALTER ROLE" in log
    assert "SCRAM-SHA-256$" in log
    for given in passwords.values():
        assert given.password not in log
        assert given.password not in repr(given)
    activity = instance.process.administer(
        "SELECT string_agg(query || application_name, '') FROM pg_stat_activity"
    )
    assert not any(given.password in activity[0][0] for given in passwords.values())

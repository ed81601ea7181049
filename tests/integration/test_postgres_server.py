"""A server that is down, full, open, shared with others, or not as it should be; and many who ask it at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import psycopg
import pytest
from psycopg import errors

from previews.adapters.databases.clone import WAL_LOG_BYTES_MAX, strategy_for
from previews.adapters.databases.connections import REST_SECONDS
from previews.adapters.databases.refusals import refusal
from previews.domain.database import DatabaseLimits
from previews.domain.preview import PreviewKey
from previews.errors import StalledError, TransientError
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import NOON, credential

KEY, OTHER = PreviewKey("shop", 7), PreviewKey("shop", 8)
LIMITS = DatabaseLimits()


@pytest.fixture(scope="module", params=VERSIONS)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with postgres_server(request.param) as process, instance_on(process) as prepared:
        prepared.make_template("golden")
        yield prepared


@pytest.fixture(autouse=True)
def clean(instance: Instance) -> Iterator[None]:
    yield
    with instance.adapter() as server:
        for found in server.list_databases():
            if found.key:
                server.drop(found.key)
        server.fill_pool("golden", 0, at=NOON)
        assert server.list_databases() == []


class ManualTime:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_managers_login_is_no_superuser_and_sees_no_password_hashes(instance: Instance) -> None:
    [rights] = instance.manager(
        "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    )
    assert rights == (False, True, True)
    with pytest.raises(errors.InsufficientPrivilege):
        instance.manager("SELECT rolpassword FROM pg_authid")


@pytest.mark.fault(48)
def test_a_server_that_failed_is_left_alone_for_a_moment_and_then_asked_by_one(
    instance: Instance,
) -> None:
    time = ManualTime()
    with instance.adapter(monotonic=time) as server:
        server.check()
        instance.process.stop("immediate")
        with pytest.raises(TransientError):
            server.check()
        with pytest.raises(TransientError) as first:
            server.check()
        assert first.value.reason == "DatabaseServerUnreachable"
        instance.process.start()

        with pytest.raises(TransientError) as second:
            server.check()
        assert second.value.message == first.value.message

        time.now += REST_SECONDS
        server.check()
        server.check()


@pytest.mark.fault(48)
def test_kept_connections_that_the_server_ended_are_noticed_before_they_are_used(
    instance: Instance,
) -> None:
    with instance.adapter() as server:
        server.check()
        instance.process.stop()
        instance.process.start()
        server.check()


@pytest.mark.fault(48)
def test_a_connection_lost_in_the_middle_is_transient_and_leaves_nothing_half_made(
    instance: Instance,
) -> None:
    def end_the_session(when: Literal["before", "after"], statement: str) -> None:
        if when == "before" and statement.startswith("COMMENT ON DATABASE"):
            instance.process.administer(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE usename = '{instance.login.user}'"
            )

    with instance.adapter(end_the_session) as server, pytest.raises(TransientError) as failed:
        server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
    assert failed.value.reason == "DatabaseServerUnreachable"
    with instance.adapter() as server:
        server.create(KEY, "golden", LIMITS, incarnation="second", at=NOON)
        found = server.find(KEY)
        assert found is not None
        assert found.is_ready


@pytest.mark.fault(48)
def test_no_free_connection_is_told_as_such_and_comes_right_by_itself(instance: Instance) -> None:
    instance.process.administer("CREATE ROLE greedy LOGIN PASSWORD 'greedy'")
    instance.process.administer("GRANT CONNECT ON DATABASE postgres TO greedy")
    time = ManualTime()
    with instance.adapter(monotonic=time) as server:
        with ExitStack() as sessions:
            with pytest.raises(psycopg.OperationalError):  # noqa: PT012
                while True:
                    sessions.enter_context(instance.process.connect("greedy", "greedy"))
            with pytest.raises(TransientError) as failed:
                server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
            assert failed.value.reason == "DatabaseServerFull"
        time.now += REST_SECONDS
        server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
    instance.process.administer("DROP OWNED BY greedy", "DROP ROLE greedy")


@pytest.mark.fault(48)
def test_a_full_disk_is_transient_and_says_so() -> None:
    failure = refusal(errors.DiskFull("could not extend file: No space left on device"), "db")
    assert isinstance(failure, TransientError)
    assert failure.reason == "DatabaseServerFull"
    assert "No space left" in failure.message


@pytest.mark.fault(48)
def test_a_template_with_somebody_in_it_is_told_and_copied_when_they_are_gone(
    instance: Instance,
) -> None:
    instance.process.administer("ALTER DATABASE golden ALLOW_CONNECTIONS true")
    try:
        with instance.adapter() as server:
            with instance.process.connect(database="golden"):
                with pytest.raises(TransientError) as failed:
                    server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
                assert failed.value.reason == "TemplateInUse"
                assert "golden" in failed.value.message
            server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
    finally:
        instance.process.administer("ALTER DATABASE golden ALLOW_CONNECTIONS false")


@pytest.mark.fault(48)
def test_twenty_at_once_from_one_template_all_succeed(instance: Instance) -> None:
    """Creations of one template take turns under their caller's lock; passwords need none."""
    turn = threading.Lock()
    keys = [PreviewKey("shop", number) for number in range(100, 120)]

    with instance.adapter() as server:

        def provide(key: PreviewKey) -> bool:
            with turn:
                server.create(key, "golden", LIMITS, incarnation=str(key), at=NOON)
            given = credential()
            server.set_credential(key, given)
            with instance.connect(key, given) as session:
                return session.execute("SELECT count(*) FROM item").fetchone() == (100,)

        with ThreadPoolExecutor(len(keys)) as people:
            assert all(people.map(provide, keys))
        found = server.list_databases()
        assert {database.key for database in found} == set(keys)
        assert all(database.is_ready for database in found)
        with ThreadPoolExecutor(4) as people:
            list(people.map(server.drop, keys))
        assert server.list_databases() == []


def test_two_who_claim_one_warm_clone_get_a_database_each(instance: Instance) -> None:
    """The second waits for the first's transaction and finds the name gone, so it has one made."""
    with instance.adapter() as server:
        server.fill_pool("golden", 1, at=NOON)
    both = threading.Barrier(2, timeout=30)

    def claim_together(when: Literal["before", "after"], statement: str) -> None:
        if when == "before" and "RENAME TO" in statement:
            both.wait()

    def claim(key: PreviewKey) -> None:
        with instance.adapter(claim_together) as server:
            server.create(key, "golden", LIMITS, incarnation=str(key), at=NOON)

    with ThreadPoolExecutor(2) as people:
        list(people.map(claim, (KEY, OTHER)))

    with instance.adapter() as server:
        found = {database.key: database for database in server.list_databases()}
        assert found.keys() == {KEY, OTHER}
        assert all(database.is_ready for database in found.values())
        assert server.templates()[0].warm == 0
    oids = instance.process.administer(
        "SELECT DISTINCT oid FROM pg_database WHERE datname LIKE 'preview\\_%'"
    )
    assert len(oids) == 2


@pytest.mark.fault(49)
def test_a_claim_that_ends_between_rename_and_commit_gives_the_clone_back(
    instance: Instance,
) -> None:
    class DiedError(BaseException):
        pass

    def die(when: Literal["before", "after"], statement: str) -> None:
        if when == "after" and "RENAME TO" in statement:
            raise DiedError

    with instance.adapter() as server:
        server.fill_pool("golden", 1, at=NOON)
    with instance.adapter(die) as dying, pytest.raises(DiedError):
        dying.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
    with instance.adapter() as server:
        server.create(OTHER, "golden", LIMITS, incarnation="first", at=NOON)
        assert server.templates()[0].warm == 0
        found = server.find(KEY)
        assert found is not None
        assert (found.has_role, found.has_database, found.is_ready) == (True, False, False)


def test_only_one_at_a_time_fills_the_pool(instance: Instance) -> None:
    """What one has begun looks half made to another, who would drop it."""
    made: list[bool] = []

    def fill_as_well(when: Literal["before", "after"], statement: str) -> None:
        if when == "after" and statement.startswith("CREATE DATABASE"):
            with instance.adapter() as another:
                made.append(another.fill_pool("golden", 2, at=NOON))

    with instance.adapter(fill_as_well) as server:
        assert server.fill_pool("golden", 2, at=NOON)
        assert made == [False]
        assert server.templates()[0].warm == 1


@contextmanager
def other_instance(instance: Instance) -> Iterator[Instance]:
    """Another on the same server; it is let go without the clean-up of a whole server."""
    with TemporaryDirectory() as directory:
        other = Instance(
            process=instance.process, name="other", password_file=Path(directory, "password")
        )
        other.prepare()
        yield other


def test_two_instances_share_a_server_and_nothing_else(instance: Instance) -> None:
    with instance.adapter() as ours, other_instance(instance) as other:
        ours.create(KEY, "golden", LIMITS, incarnation="ours", at=NOON)
        with other.adapter() as theirs:
            assert theirs.list_databases() == []
            assert theirs.templates() == []
            attempts: list[Callable[[], None]] = [
                lambda: theirs.drop(KEY),
                lambda: theirs.create(KEY, "golden", LIMITS, incarnation="theirs", at=NOON),
            ]
            for attempt in attempts:
                with pytest.raises(StalledError) as refused:
                    attempt()
                assert refused.value.reason == "DatabaseNotOurs"
            with pytest.raises(StalledError) as refused:
                theirs.create(OTHER, "golden", LIMITS, incarnation="theirs", at=NOON)
            assert refused.value.reason == "TemplateMissing"


@pytest.mark.fault(45)
def test_a_server_with_an_open_database_is_refused_with_the_statement_that_closes_it(
    instance: Instance,
) -> None:
    instance.process.administer('CREATE DATABASE "Old shop"')
    with instance.adapter() as server:
        with pytest.raises(StalledError) as refused:
            server.check()
        assert refused.value.reason == "DatabaseServerOpen"
        statement = 'REVOKE CONNECT, TEMPORARY ON DATABASE "Old shop" FROM PUBLIC'
        assert statement in refused.value.message
        with instance.adapter(open_databases=["Old shop"]) as lenient:
            lenient.check()
        instance.process.administer(statement)
        server.check()
    instance.process.administer('DROP DATABASE "Old shop"')


def test_a_login_without_its_rights_is_refused_with_the_statements_that_give_them(
    instance: Instance,
) -> None:
    login = instance.login.user
    instance.process.administer(
        f"ALTER ROLE {login} NOCREATEDB", f"REVOKE pg_signal_backend FROM {login}"
    )
    with instance.adapter() as server:
        with pytest.raises(StalledError) as refused:
            server.check()
        assert refused.value.reason == "DatabaseRefused"
        missing = refused.value.message.partition("administrator: ")[2].split("; ")
        assert missing == [
            f'ALTER ROLE "{login}" CREATEDB',
            f'GRANT pg_signal_backend TO "{login}"',
        ]
        instance.process.administer(*missing)
        server.check()


@pytest.mark.fault(54)
def test_the_managers_own_password_may_change_while_it_runs(instance: Instance) -> None:
    old = instance.password_file.read_text()
    time = ManualTime()
    try:
        with instance.adapter(monotonic=time) as server:
            instance.process.administer(
                f"ALTER ROLE {instance.login.user} PASSWORD 'changed-secret'"
            )
            with pytest.raises(TransientError) as refused:
                server.check()
            assert old not in refused.value.message
            instance.password_file.write_text("changed-secret\n")
            time.now += REST_SECONDS
            server.check()
            server.close()
            instance.password_file.unlink()
            with pytest.raises(TransientError) as unreadable:
                server.check()
            assert str(instance.password_file) in unreadable.value.message
    finally:
        instance.password_file.write_text(old)
        instance.process.administer(f"ALTER ROLE {instance.login.user} PASSWORD '{old}'")


def test_a_large_template_is_copied_by_files_and_sooner_where_blocks_are_shared() -> None:
    assert strategy_for(7 * 1024**2, shares_blocks=False) == "wal_log"
    assert strategy_for(7 * 1024**2, shares_blocks=True) == "wal_log"
    assert strategy_for(100 * 1024**2, shares_blocks=True) == "file_copy"
    assert strategy_for(WAL_LOG_BYTES_MAX, shares_blocks=False) == "wal_log"
    assert strategy_for(WAL_LOG_BYTES_MAX + 1, shares_blocks=False) == "file_copy"


def test_a_name_is_never_taken_for_sql(instance: Instance) -> None:
    """No configuration makes such a template; if one did, it would only be a template that is missing."""
    with instance.adapter() as server, pytest.raises(StalledError) as refused:
        server.create(KEY, "x; DROP DATABASE golden", LIMITS, incarnation="it's", at=NOON)
    assert refused.value.reason == "TemplateMissing"
    with instance.adapter() as server:
        server.create(KEY, "golden", LIMITS, incarnation='it\'s \\ "one" %s {x}', at=NOON)
        found = server.find(KEY)
        assert found is not None
        assert found.incarnation == 'it\'s \\ "one" %s {x}'
